using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>The order of a study, with trials that end when the test says so.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsStudyTests
{
    private static readonly SorsaSearchSpace s_space = new()
    {
        ["Gamma"] = new UniformDoubleOption(1e-5, 1e-2, logBase: true),
        ["Rank"] = new UniformIntOption(1, 64, logBase: true),
    };

    /// <summary>Whoever ends first, and wherever the study is cut off and begun again: the same parameters, limits and results.</summary>
    [TestMethod]
    [DataRow(1, 1)]
    [DataRow(2, 2)]
    [DataRow(3, 3)]
    [DataRow(4, 4)]
    [DataRow(4, 5)]
    public async Task WhoIsFasterDoesNotMatter(int atATime, int order)
    {
        using var reference = new SqliteStudyStore(null);
        string[] expected = await Table(reference, atATime, new Trials(new Random(0)));
        using var store = new SqliteStudyStore(null);

        Assert.HasCount(30, expected);
        CollectionAssert.AreEqual(expected, await Table(store, atATime, new Trials(new Random(order))));
        CollectionAssert.AreEqual(
            expected,
            store.Read(s_space).Values.OrderBy(trial => trial.TrialSettings.TrialId).Select(SweepTask.Line).ToArray());
        Assert.Contains(line => line.Contains("Pruned", StringComparison.Ordinal), expected);
        Assert.Contains(line => line.Contains("Failed", StringComparison.Ordinal), expected);
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    public async Task AStudyThatIsCutOffGoesOnTheSame(int atATime)
    {
        using var reference = new SqliteStudyStore(null);
        string[] expected = await Table(reference, atATime, new Trials(new Random(0)));
        for (int cut = 1; cut < 30; cut += 4)
        {
            using var folder = new TemporaryFolder();
            using (var store = new SqliteStudyStore(folder.File("s.db")))
            {
                await Assert.ThrowsExactlyAsync<InvalidTimeZoneException>(
                    () => Table(store, atATime, new Trials(new Random(cut)) { Breaks = cut }));
            }

            using var again = new SqliteStudyStore(folder.File("s.db"));
            var trials = new Trials(new Random(cut + 100));
            CollectionAssert.AreEqual(expected, await Table(again, atATime, trials), $"cut at {cut}");

            // What was finished is not run again.
            Assert.IsLessThanOrEqualTo(30 - cut + atATime, trials.Run.Count);
        }
    }

    [TestMethod]
    public async Task NoMoreTrialsAtATimeThanAsked()
    {
        using var store = new SqliteStudyStore(null);
        var trials = new Trials(new Random(0));
        await Table(store, 3, trials);

        Assert.AreEqual(3, trials.MostAtATime);
    }

    [TestMethod]
    public async Task AGridEndsWithItsLastPoint()
    {
        using var store = new SqliteStudyStore(null);
        store.Open(new StudyDefinition([]));
        var study = new Study(store, s_space, new GridSearchTuner(3), new PruningRules(null), 0, 1, false, []);

        Assert.IsFalse(await study.RunAsync(new Trials(new Random(0)), int.MaxValue, () => false, CancellationToken.None));
        Assert.HasCount(9, study.Results.Trials);
    }

    /// <summary>Time stops new trials, and says so; where there is nothing left to try, it says nothing.</summary>
    [TestMethod]
    [DataRow(5, 5, true)]
    [DataRow(9, 9, false)]
    [DataRow(20, 9, false)]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public async Task TimeStopsNewTrialsOnly(int startsInTime, int trials, bool stoppedByTime)
    {
        using var store = new SqliteStudyStore(null);
        store.Open(new StudyDefinition([]));
        var study = new Study(store, s_space, new GridSearchTuner(3), new PruningRules(null), 0, 2, false, []);
        int asked = 0;

        Assert.AreEqual(
            stoppedByTime,
            await study.RunAsync(new Trials(new Random(0)), int.MaxValue, () => ++asked > startsInTime, CancellationToken.None));
        Assert.HasCount(trials, study.Results.Trials);
        Assert.IsTrue(study.Results.Trials.All(trial => trial.State != TrialState.Running));
    }

    /// <summary>A tuner may be the user's.</summary>
    [TestMethod]
    public async Task AProposalThatIsNotOfTheSpaceIsRefusedBeforeItIsWritten()
    {
        using var store = new SqliteStudyStore(null);
        store.Open(new StudyDefinition([]));
        var study = new Study(store, s_space, new Odd(), new PruningRules(null), 0, 1, false, []);

        InvalidOperationException refused = await Assert.ThrowsExactlyAsync<InvalidOperationException>(
            () => study.RunAsync(new Trials(new Random(0)), 1, () => false, CancellationToken.None));
        Assert.Contains(
            "The tuner proposes values for Gamma, Ranc; it must for every option of the search space and no other: Gamma, Rank.",
            refused.Message);
        Assert.IsEmpty(store.Read(s_space));
    }

    private sealed class Odd : ITuner
    {
        public string Description => "odd";

        public IReadOnlyDictionary<string, object?> Propose(SorsaSearchSpace space, int trialId, TrialHistory history, int seed) =>
            new Dictionary<string, object?> { ["Gamma"] = 1e-3, ["Ranc"] = 4 };
    }

    private static async Task<string[]> Table(SqliteStudyStore store, int atATime, Trials trials)
    {
        trials.Store = store;
        store.Open(new StudyDefinition([]));
        var study = new Study(store, s_space, new TreeParzenTuner(4), new PruningRules(new PruningOptions()), 7, atATime, false, []);
        await study.RunAsync(trials, 30, () => false, CancellationToken.None);
        return [.. study.Results.Trials.Select(SweepTask.Line)];
    }

    /// <summary>Curves that follow from the parameters; ends in a random order, since each trial waits for a turn that is drawn.</summary>
    private sealed class Trials(Random random) : ITrialExecutor
    {
        private readonly Dictionary<int, TaskCompletionSource> _waiting = [];
        private int _atATime;

        public SqliteStudyStore? Store { get; set; }

        public int Breaks { get; init; } = int.MaxValue;

        public List<int> Run { get; } = [];

        public int MostAtATime { get; private set; }

        public async Task<TrialResult> RunAsync(TrialPlan plan, Action<CurvePoint> report, CancellationToken cancellationToken)
        {
            var turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            lock (_waiting)
            {
                Run.Add(plan.Settings.TrialId);
                MostAtATime = Math.Max(MostAtATime, ++_atATime);
                _waiting.Add(plan.Settings.TrialId, turn);
            }

            await Task.Yield();
            Release();
            await turn.Task;
            if (Run.Count > Breaks)
            {
                throw new InvalidTimeZoneException();
            }

            TrialResult result = Result(plan);
            for (int i = 0; i < result.Curve.Count; i++)
            {
                report(result.Curve[i]);
                Store?.AddCurvePoint(plan.Settings.TrialId, i + 1, result.Curve[i]);
            }

            Store?.Finish(result);
            lock (_waiting)
            {
                _atATime--;
            }

            return result;
        }

        private void Release()
        {
            lock (_waiting)
            {
                TaskCompletionSource[] waiting = [.. _waiting.OrderBy(pair => pair.Key).Select(pair => pair.Value)];
                int drawn = random.Next(waiting.Length);
                int trial = _waiting.Single(pair => ReferenceEquals(pair.Value, waiting[drawn])).Key;
                _waiting.Remove(trial);
                waiting[drawn].SetResult();
            }
        }

        private static TrialResult Result(TrialPlan plan)
        {
            double gamma = (double)plan.Settings.Parameters["Gamma"]!;
            int rank = (int)plan.Settings.Parameters["Rank"]!;
            var curve = new List<CurvePoint>();
            if (rank % 9 == 0)
            {
                return new TrialResult
                {
                    TrialSettings = plan.Settings,
                    State = TrialState.Failed,
                    Curve = [new CurvePoint(10, 99, null)],
                    Error = "nine",
                };
            }

            for (int look = 1; look <= 8; look++)
            {
                curve.Add(new CurvePoint(look * 10, Math.Abs(Math.Log(gamma / 4e-4)) + 8.0 / rank + 3.0 / look, gamma / look));
                if (look < 8 && plan.IsToEnd(curve))
                {
                    return new TrialResult { TrialSettings = plan.Settings, State = TrialState.Pruned, Curve = curve };
                }
            }

            return new TrialResult
            {
                TrialSettings = plan.Settings,
                State = TrialState.Completed,
                Curve = curve,
                Metric = curve[^1].Loss,
                Orthonormality = gamma,
            };
        }
    }
}
