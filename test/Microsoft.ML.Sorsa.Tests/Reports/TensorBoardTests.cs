using System.Globalization;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Reports;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Tests.Sweeps;
using Microsoft.ML.Sorsa.Training;
using Tensorboard;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Reports;

/// <summary>The series of a training as another reader finds them in the files.</summary>
[TestClass]
[TestCategory("Reports")]
public sealed class TensorBoardTests
{
    private static readonly string[] s_names =
    [
        "eval/loss", "train/grad_norm", "train/learning_rate", "train/loss", "train/orthonormality", "train/tokens_per_second",
    ];

    private readonly MLContext _mlContext = new();
    private readonly List<string> _warnings = [];

    public TensorBoardTests() => _mlContext.Log += (_, e) =>
    {
        if (e.Kind == ChannelMessageKind.Warning)
        {
            _warnings.Add(e.RawMessage);
        }
    };

    [TestMethod]
    [DataRow(".")]
    [DataRow(",")]
    public void TheSeriesAreWhatTheListenerIsTold(string decimals)
    {
        using var folder = new TemporaryFolder();
        CultureInfo before = CultureInfo.CurrentCulture;
        var steps = new List<SorsaTrainingProgress>();
        try
        {
            CultureInfo.CurrentCulture = new CultureInfo("") { NumberFormat = { NumberDecimalSeparator = decimals } };
            Fit(Running(folder.File("made", "here"), steps.Add), validate: true).Dispose();
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }

        IReadOnlyDictionary<string, IReadOnlyList<(long, float)>> series = EventRecords.Series(folder.File("made", "here"));
        CollectionAssert.AreEqual(s_names, series.Keys.Order(StringComparer.Ordinal).ToArray());
        Verify("train/loss", step => step.Loss);
        Verify("train/learning_rate", step => step.LearningRate);
        Verify("train/grad_norm", step => step.GradientNorm);
        Verify("train/orthonormality", step => step.Orthonormality);
        Verify("train/tokens_per_second", step => step.TokensPerSecond);
        Verify("eval/loss", step => step.ValidationLoss);
        Assert.HasCount(2, series["eval/loss"]);

        void Verify(string name, Func<SorsaTrainingProgress, double?> value) => CollectionAssert.AreEqual(
            steps.Where(step => value(step) is not null).Select(step => ((long)step.Step, (float)value(step)!.Value)).ToArray(),
            series[name].ToArray(), name);
    }

    [TestMethod]
    public void AFileBeginsAsTensorBoardWantsAndTellsTheTime()
    {
        using var folder = new TemporaryFolder();
        double begun = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1e3;
        Fit(Running(folder.Path)).Dispose();
        double ended = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1e3 + 1e-3;

        string file = Directory.GetFiles(folder.Path).Single();
        Assert.Contains("tfevents", Path.GetFileName(file));
        IReadOnlyList<Event> events = EventRecords.Read(file);
        Assert.AreEqual("brain.Event:2", events[0].FileVersion);
        Assert.IsTrue(events.All(record => record.WallTime >= begun - 1e-3 && record.WallTime <= ended));
        Assert.AreEqual(
            string.Join(' ', events.Select(record => record.WallTime).Order()), string.Join(' ', events.Select(record => record.WallTime)));
    }

    /// <summary>What is read while it trains is whole: every step is there when the listener is told of it.</summary>
    [TestMethod]
    public void AStepCanBeReadWhileTrainingGoesOn()
    {
        using var folder = new TemporaryFolder();
        var seen = new List<int>();
        Fit(Running(folder.Path, step => seen.Add(EventRecords.Series(folder.Path)["train/loss"].Count - step.Step))).Dispose();

        Assert.HasCount(6, seen);
        Assert.IsTrue(seen.All(missing => missing == 0));
    }

    [TestMethod]
    public void ATrainingThatGoesOnContinuesItsSeries()
    {
        using var folder = new TemporaryFolder();
        using var cancellation = new CancellationTokenSource();
        var told = new Dictionary<int, double>();
        Options options = Running(folder.File("series"), step =>
        {
            told[step.Step] = step.Loss;
            if (step.Step == 5)
            {
                throw new TimeoutException("as if the process had ended");
            }
        });
        (options.CheckpointFolder, options.CheckpointSteps) = (folder.File("checkpoints"), 2);
        Assert.ThrowsExactly<TimeoutException>(() => Fit(options));

        // The newest checkpoint is of step 4: step 5 is taken again.
        options.Progress = new Listener(step => told[step.Step] = step.Loss);
        using SorsaTransformer resumed = Fit(options);

        Assert.HasCount(2, Directory.GetFiles(folder.File("series")));
        (long, float)[] expected = [.. told.OrderBy(step => step.Key).Select(step => ((long)step.Key, (float)step.Value))];
        Assert.HasCount(6, expected);
        CollectionAssert.AreEqual(expected, EventRecords.Series(folder.File("series"))["train/loss"].ToArray());
        CollectionAssert.AreEqual(
            told.OrderBy(step => step.Key).Select(step => step.Value).ToArray(), resumed.Training!.Losses.ToArray(),
            "the record has the losses before the interruption, too");
        Assert.HasCount(2, resumed.Training.Steps);
    }

    [TestMethod]
    public void ATrainingThatBeginsAnewTakesTheirPlace()
    {
        using var folder = new TemporaryFolder();
        Fit(Running(folder.Path)).Dispose();
        Options options = Running(folder.Path);
        options.MaxSteps = 2;
        Fit(options).Dispose();

        Assert.HasCount(2, Directory.GetFiles(folder.Path));
        Assert.AreEqual("1 2", string.Join(' ', EventRecords.Series(folder.Path)["train/loss"].Select(point => point.Step)));
    }

    /// <summary>TensorBoard shows the folders of a folder side by side.</summary>
    [TestMethod]
    public void ASweepsTrialsHaveAFolderEach()
    {
        using var folder = new TemporaryFolder();
        Options trainer = SweepTask.Trainer;
        trainer.TensorBoardFolder = folder.Path;
        using ExperimentResult result = SweepTask.Experiment.SetTrainer(trainer).SetMaxModelToExplore(2).Run();

        CollectionAssert.AreEqual(
            result.Trials.Select(trial => $"trial-{trial.TrialSettings.TrialId}").ToArray(),
            Directory.GetDirectories(folder.Path).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal).ToArray());
        foreach (TrialResult trial in result.Trials)
        {
            CollectionAssert.AreEqual(
                trial.Curve.Select(point => ((long)point.Step, (float)point.Loss)).ToArray(),
                EventRecords.Series(folder.File($"trial-{trial.TrialSettings.TrialId}"))["eval/loss"].ToArray());
        }
    }

    [TestMethod]
    public void TrainingIsTheSameWithAndWithoutIt()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer with = Fit(Running(folder.Path)), without = Fit(Running(null));

        CollectionAssert.AreEqual(TinyTask.LogitBits(without.Model.Network), TinyTask.LogitBits(with.Model.Network));
    }

    [TestMethod]
    public void AFolderThatCannotBeMadeIsRefusedBeforeTheFirstStep()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("file"), "");
        var steps = new List<SorsaTrainingProgress>();

        var error = Assert.ThrowsExactly<IOException>(() => Fit(Running(folder.File("file", "series"), steps.Add)));

        Assert.StartsWith($"TensorBoardFolder '{folder.File("file", "series")}' cannot be written: ", error.Message);
        Assert.Contains("Name a folder that this process may write, or leave it null.", error.Message);
        Assert.IsEmpty(steps);
    }

    [TestMethod]
    public void ADiskThatIsFullEndsTheSeriesAndNotTheTraining()
    {
        using var folder = new TemporaryFolder();
        var warnings = new List<string>();
        using (var full = new FullAfterTheFirst())
        using (var log = new TensorBoardLog(folder.Path, "TensorBoardFolder", warnings.Add, () => new EventFile(full)))
        {
            log.Begin(0);
            log.Begin(1);
        }

        Assert.StartsWith($"TensorBoardFolder '{folder.Path}' cannot be written any more: ", warnings.Single());
    }

    [TestMethod]
    public void AnEmptyNameIsNone()
    {
        Fit(Running("  ")).Dispose();

        Assert.IsFalse(_warnings.Any(warning => warning.Contains("TensorBoard", StringComparison.Ordinal)));
        Assert.IsNull(Running("  ").ToSettings().TensorBoardFolder);
    }

    private static Options Running(string? folder, Action<SorsaTrainingProgress>? tell = null)
    {
        Options options = TinyTask.Options();
        (options.NumberOfEpochs, options.TensorBoardFolder) = (2, folder);
        options.Progress = tell is null ? null : new Listener(tell);
        return options;
    }

    private SorsaTransformer Fit(Options options, bool validate = false)
    {
        SorsaFineTuningTrainer trainer = _mlContext.Sorsa().FineTune(options);
        IDataView data = TinyTask.Data(_mlContext);
        return validate ? trainer.Fit(data, data) : trainer.Fit(data);
    }

    private sealed class FullAfterTheFirst : MemoryStream
    {
        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (Length > 0)
            {
                throw new IOException("No space left on device");
            }

            base.Write(buffer);
        }
    }

    private sealed class Listener(Action<SorsaTrainingProgress> act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => act(value);
    }
}
