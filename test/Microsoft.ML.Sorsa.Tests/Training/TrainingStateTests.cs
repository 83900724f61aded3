using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>
/// The state is everything: a training that goes on from the files of it, over another model object, comes out the same to the bit.
/// </summary>
[TestClass]
[TestCategory("Training")]
[TestCategory("Resume")]
[TestCategory("Numeric")]
public sealed class TrainingStateTests
{
    private const int TotalSteps = 12;

    /// <summary>Losses that fall, rise and fall, so that the best weights are older than the interruption or younger.</summary>
    private static readonly double[] s_losses = [6, 4, 5, 5.5, 3, 7];

    private static readonly Dictionary<string, string> s_run = new() { ["Method"] = "any" };

    private static readonly int[] s_interruptions = [1, 4, 9, 11];

    private static readonly TrainingSettings s_settings = TinyModel.Settings with
    {
        LearningRate = 0.02,
        WeightDecay = 0.01,
        BatchSize = 3,
        GradientAccumulationSteps = 2,
        EvaluationSteps = 2,
        EarlyStoppingPatience = 4,
    };

    public static IEnumerable<object[]> Runs =>
        from method in Enum.GetValues<FineTuningMethod>()
        from interruption in s_interruptions
        select new object[] { method, interruption };

    [TestMethod]
    [DynamicData(nameof(Runs))]
    public void GoingOnFromACheckpointGivesTheSameBits(FineTuningMethod method, int interruption)
    {
        using var undisturbed = new Run(method);
        using var interrupted = new Run(method);
        using var resumed = new Run(method);

        Assert.AreEqual(TotalSteps, undisturbed.Train(TotalSteps));
        Assert.AreEqual(interruption, interrupted.Train(interruption));
        resumed.CopyFrom(interrupted, asAdapter: interruption % 2 == 1);
        Assert.AreEqual(TotalSteps - interruption, resumed.Train(TotalSteps));

        CollectionAssert.AreEqual(undisturbed.Values, resumed.Values);
        CollectionAssert.AreEqual(undisturbed.Losses, resumed.Losses);
        CollectionAssert.AreNotEqual(undisturbed.Values, interrupted.Values);
    }

    /// <summary>A training with everything that has a state: dropout, accumulation, weight decay, validation.</summary>
    private sealed class Run : IDisposable
    {
        private readonly CausalLM _model = TinyModel.Create();
        private readonly Generator _start = new(5);
        private readonly AdapterSet _adapters;
        private readonly TrainingState _state;

        public Run(FineTuningMethod method)
        {
            MethodDescriptor descriptor = MethodCatalog.Get(method);
            var settings = new MethodSettings
            {
                Rank = descriptor.Has(nameof(MethodSettings.Rank)) ? 4 : null,
                Dropout = descriptor.Has(nameof(MethodSettings.Dropout)) ? 0.2 : 0,
                RankBudget = method == FineTuningMethod.AdaLora ? new RankBudget { TargetRank = 2, WarmupSteps = 2, FinalSteps = 4 } : null,

                // An interruption may fall on the last step before others are drawn, and within an interval.
                GradientProjection = method == FineTuningMethod.GaLore ? new GradientProjection { UpdateSteps = 3 } : null,
                LayerSampling = method == FineTuningMethod.Lisa ? new LayerSampling { Layers = 1, IntervalSteps = 3 } : null,
            };
            var run = new MethodRun(TotalSteps, _start, Decomposition.Drawn(_start), Seed: 7);
            _adapters = AdapterSet.Inject(_model, TinyModel.Targets, descriptor.Create(settings, run));
            _state = new TrainingState(_adapters, s_settings);
        }

        public List<double> Losses => _state.Losses;

        public double[] Values => TinyModel.Values(_adapters);

        /// <summary>Takes over another training's state through its files, and nothing else.</summary>
        public void CopyFrom(Run other, bool asAdapter)
        {
            using var folder = new TemporaryFolder();
            using (var target = new NewFolder(folder.File("checkpoint"), "folder"))
            using (AdapterWeights? adapter = asAdapter ? AdapterWeights.ViewOf(other._adapters, "base") : null)
            {
                TrainingCheckpoint.Write(target, other._state, new RunIdentity(s_run, s_run), adapter);
                target.Commit();
            }

            Assert.AreEqual("any", TrainingCheckpoint.ReadIdentity(folder.File("checkpoint")).Run["Method"]);
            TrainingCheckpoint.Restore(folder.File("checkpoint"), _state);
            Assert.AreEqual(other._state.Step, _state.Step);
            CollectionAssert.AreEqual(other._state.Losses, _state.Losses);
            CollectionAssert.AreEqual(other._state.Evaluations, _state.Evaluations);
            Assert.AreEqual(other._state.Best.Loss, _state.Best.Loss);
            Assert.AreEqual(other._state.Best.EvaluationsSince, _state.Best.EvaluationsSince);
        }

        /// <summary>
        /// Trains up to a step, and is interrupted there where the run is not at its end; gives how many steps that were.
        /// </summary>
        public int Train(int end)
        {
            var plan = new BatchPlan(TinyModel.Rows(20), s_settings.BatchSize, s_settings.GradientAccumulationSteps, s_settings.Seed);
            var loop = new TrainingLoop(_model, _adapters, s_settings);
            using var interruption = new CancellationTokenSource();
            int steps = 0;
            void Continue() => loop.Continue(
                _state, plan.Steps(_state.Step, TotalSteps), TotalSteps, () => s_losses[(_state.Step / 2) - 1], Count, interruption.Token);
            if (end == TotalSteps)
            {
                Continue();
            }
            else
            {
                Assert.ThrowsExactly<OperationCanceledException>(Continue);
            }

            return steps;

            void Count(SorsaTrainingProgress progress)
            {
                steps++;
                if (progress.Step == end && end < TotalSteps)
                {
                    interruption.Cancel();
                }
            }
        }

        public void Dispose()
        {
            _state.Dispose();
            _adapters.Discard();
            _model.Dispose();
            _start.Dispose();
        }
    }
}
