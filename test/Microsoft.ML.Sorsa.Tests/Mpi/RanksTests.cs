using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Mpi;

/// <summary>What several ranks train together is what one trains, whatever the method and the options. The ranks are threads.</summary>
[TestClass]
[TestCategory("Mpi")]
public sealed class RanksTests
{
    /// <summary>Summed in another order, in float32, through a few steps of an optimizer that divides by small numbers.</summary>
    private const double Close = 2e-5;

    /// <summary>All of them, and QSORSA, LoftQ and QPiSSA, which are methods over a quantized base.</summary>
    public static IEnumerable<object[]> Methods =>
    [
        .. Enum.GetValues<FineTuningMethod>().Select(method => new object[] { method, BaseQuantization.None }),
        .. new[] { FineTuningMethod.Sorsa, FineTuningMethod.Lora, FineTuningMethod.Pissa }
            .Select(method => new object[] { method, BaseQuantization.NF4 }),
    ];

    /// <summary>
    /// Optimizers, pruning, clipping and penalties come after the sum: every rank has the same bits at its end, and has them again.
    /// </summary>
    [TestMethod]
    [DynamicData(nameof(Methods))]
    public void EveryMethodTrainsAlikeOnRanks(FineTuningMethod method, BaseQuantization quantization)
    {
        Trained one = Train(1, Options)[0];

        Trained[] three = Train(3, Options), again = Train(3, Options);

        Assert.HasCount(12, one.Losses);
        foreach (Trained rank in three.Concat(again))
        {
            CollectionAssert.AreEqual(three[0].Logits, rank.Logits);
            CollectionAssert.AreEqual(three[0].Losses, rank.Losses);
            AreClose(one.Losses, rank.Losses);
            AreClose(one.ValidationLosses, rank.ValidationLosses);
        }

        SorsaFineTuningTrainer.Options Options()
        {
            SorsaFineTuningTrainer.Options options = Small(method);
            (options.MaxGradNorm, options.WeightDecay, options.Quantization) = (0.5, 0.1, quantization);
            if (method == FineTuningMethod.AdaLora)
            {
                options.RankBudget = new RankBudget { TargetRank = 2, WarmupSteps = 1, FinalSteps = 2, Interval = 2 };
            }

            return options;
        }
    }

    /// <summary>Micro-batches, an end that is learnt beside longer rows alone, and a batch with fewer rows than there are ranks.</summary>
    [TestMethod]
    [DataRow(2)]
    [DataRow(5)]
    public void HoweverABatchIsSharedItHasTheSameLabels(int ranks)
    {
        Trained one = Train(1, Options)[0];

        Trained[] several = Train(ranks, Options);

        foreach (Trained rank in several)
        {
            AreClose(one.Losses, rank.Losses);
        }

        SorsaFineTuningTrainer.Options Options()
        {
            SorsaFineTuningTrainer.Options options = Small(FineTuningMethod.Lora);
            (options.BatchSize, options.GradientAccumulationSteps, options.EndToken) = (5, 2, EndToken.WherePadded);
            return options;
        }
    }

    /// <summary>Every rank drops other inputs, and all end with the same weights.</summary>
    [TestMethod]
    public void DropoutHasMasksOfItsOwnOnEveryRank()
    {
        Trained[] two = Train(2, () => With(0.5)), again = Train(2, () => With(0.5)), without = Train(2, () => With(0));

        CollectionAssert.AreEqual(two[0].Logits, two[1].Logits);
        CollectionAssert.AreEqual(two[0].Losses, again[0].Losses);
        CollectionAssert.AreNotEqual(without[0].Losses, two[0].Losses);

        static SorsaFineTuningTrainer.Options With(double dropout)
        {
            SorsaFineTuningTrainer.Options options = Small(FineTuningMethod.Lora);
            options.Dropout = dropout;
            return options;
        }
    }

    /// <summary>The loss that decides is the same number everywhere, so that all stop at the same step.</summary>
    [TestMethod]
    public void EarlyStoppingIsDecidedAlike()
    {
        Trained[] ranks = Train(3, () =>
        {
            SorsaFineTuningTrainer.Options options = Small(FineTuningMethod.Sorsa);
            (options.LearningRate, options.EvaluationSteps, options.EarlyStoppingPatience, options.NumberOfEpochs) = (0.2, 1, 1, 50);
            return options;
        });

        Assert.IsLessThan(100, ranks[0].Losses.Length);
        foreach (Trained rank in ranks)
        {
            CollectionAssert.AreEqual(ranks[0].ValidationLosses, rank.ValidationLosses);
            CollectionAssert.AreEqual(ranks[0].Logits, rank.Logits);
        }
    }

    /// <summary>A training that one rank cancels ends on all of them, behind the same step, which the first has written.</summary>
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    public void ACancelledRankCancelsAll(int cancelled)
    {
        using var folder = new TemporaryFolder();
        using var cancellation = new CancellationTokenSource();
        string checkpoints = folder.File("checkpoints");

        string[] errors = ThreadRanks.Run(2, ranks =>
        {
            SorsaFineTuningTrainer.Options options = Small(FineTuningMethod.Lora);
            (options.Ranks, options.NumberOfEpochs, options.CheckpointFolder, options.CheckpointSteps) = (ranks, 1000, checkpoints, 100000);
            options.CancellationToken = ranks.Rank == cancelled ? cancellation.Token : default;
            options.Progress = new AtStepThree(cancellation.Cancel);
            var mlContext = new MLContext();
            SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(options);
            return Assert.Throws<OperationCanceledException>(() => trainer.Fit(TinyTask.Data(mlContext)).Dispose()).Message;
        });

        Assert.HasCount(2, errors);

        // The other one may have begun the next step when the first reports.
        string checkpoint = Path.GetFileName(Directory.GetDirectories(checkpoints).Order().Last());
        Assert.Contains(checkpoint, cancelled == 0 ? ["checkpoint-3"] : ["checkpoint-3", "checkpoint-4"]);
    }

    [TestMethod]
    public void ATrainingThatDivergesEndsAlikeEverywhere()
    {
        string[] errors = ThreadRanks.Run(2, ranks =>
        {
            SorsaFineTuningTrainer.Options options = Small(FineTuningMethod.Lora);
            (options.Ranks, options.LearningRate, options.WarmupRatio, options.MaxGradNorm) = (ranks, 1e30, 0, null);
            var mlContext = new MLContext();
            SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(options);
            return Assert.ThrowsExactly<ArithmeticException>(() => trainer.Fit(TinyTask.Data(mlContext)).Dispose()).Message;
        });

        Assert.AreEqual(errors[0], errors[1]);
    }

    /// <summary>What the user's own code throws is one rank's, whatever its type: the others must not wait for it.</summary>
    [TestMethod]
    [DataRow(typeof(OperationCanceledException))]
    [DataRow(typeof(ArithmeticException))]
    public void AnErrorOfOneRanksProgressEndsThemAll(Type type)
    {
        var thrown = (Exception)Activator.CreateInstance(type)!;

        AggregateException[] errors = ThreadRanks.Run(2, ranks =>
        {
            SorsaFineTuningTrainer.Options options = Small(FineTuningMethod.Lora);
            (options.Ranks, options.Progress) = (ranks, new AtStepThree(() => throw thrown));
            var mlContext = new MLContext();
            SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(options);
            return Assert.ThrowsExactly<AggregateException>(() => trainer.Fit(TinyTask.Data(mlContext)).Dispose());
        });

        Assert.AreSame(thrown, errors[0].InnerExceptions[0]);
        Assert.StartsWith("Aborted by rank 0: ", errors[0].InnerExceptions[1].Message);
    }

    /// <summary>All that is said of the training, why its type was chosen among it.</summary>
    [TestMethod]
    public void TheFirstRankAloneLogs()
    {
        List<string>[] logs = ThreadRanks.Run(2, ranks =>
        {
            SorsaFineTuningTrainer.Options options = Small(FineTuningMethod.Lora);
            (options.Ranks, options.ComputeType) = (ranks, WeightType.Auto);
            var mlContext = new MLContext();
            var lines = new List<string>();
            mlContext.Log += (_, line) =>
            {
                if (line.Kind is ChannelMessageKind.Info or ChannelMessageKind.Warning)
                {
                    lines.Add(line.RawMessage);
                }
            };
            mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(mlContext)).Dispose();
            return lines;
        });

        Assert.IsTrue(logs[0].Any(line => line.StartsWith("ComputeType Auto: ", StringComparison.Ordinal)), string.Join('\n', logs[0]));
        Assert.IsEmpty(logs[1]);
    }

    /// <summary>A rank needs room for its share of a batch alone.</summary>
    [TestMethod]
    public void TheEstimateIsThatOfAShare()
    {
        var mlContext = new MLContext();
        SorsaFineTuningTrainer.Options options = Small(FineTuningMethod.Lora);
        options.BatchSize = 12;
        long alone = mlContext.Sorsa().Estimate(options, TinyTask.Data(mlContext)).Activations;

        long shared = ThreadRanks.Run(3, ranks =>
        {
            SorsaFineTuningTrainer.Options own = Small(FineTuningMethod.Lora);
            (own.BatchSize, own.Ranks) = (12, ranks);
            return mlContext.Sorsa().Estimate(own, TinyTask.Data(mlContext)).Activations;
        })[0];
        options.BatchSize = 4;

        Assert.IsLessThan(alone, shared);
        Assert.AreEqual(mlContext.Sorsa().Estimate(options, TinyTask.Data(mlContext)).Activations, shared, 0.01 * shared);
    }

    private static SorsaFineTuningTrainer.Options Small(FineTuningMethod method)
    {
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        (options.Method, options.BatchSize, options.NumberOfEpochs, options.LearningRate) = (method, 6, 6, 1e-3);
        if (!options.HasEffect(nameof(options.Rank)))
        {
            options.Rank = new SorsaFineTuningTrainer.Options().Rank;
        }

        if (!options.HasEffect(nameof(options.TargetModules)))
        {
            options.TargetModules = new SorsaFineTuningTrainer.Options().TargetModules;
        }

        return options;
    }

    private static Trained[] Train(int count, Func<SorsaFineTuningTrainer.Options> settings) => ThreadRanks.Run(count, ranks =>
    {
        set_num_threads(1);
        SorsaFineTuningTrainer.Options options = settings();
        options.Ranks = ranks;
        var mlContext = new MLContext();
        using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(
            TinyTask.Data(mlContext), mlContext.Data.LoadFromEnumerable(TinyTask.Rows[..7]));
        return new Trained(
            [.. model.Training!.Losses], [.. model.Training.ValidationLosses.Select(at => at.Loss)],
            TinyTask.LogitBits((CausalLM)model.Model.Network!));
    });

    private static void AreClose(double[] expected, double[] actual)
    {
        Assert.HasCount(expected.Length, actual);
        foreach ((double one, double other) in expected.Zip(actual))
        {
            Assert.AreEqual(one, other, Close);
        }
    }

    private sealed record Trained(double[] Losses, double[] ValidationLosses, int[] Logits);

    /// <summary>After the third step; it is the first rank's progress.</summary>
    private sealed class AtStepThree(Action act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value)
        {
            if (value.Step == 3)
            {
                act();
            }
        }
    }
}
