using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Mpi;

/// <summary>
/// Whichever way a training is begun, by Fit or over a model that is opened once, no rank waits for one that has failed. They are threads.
/// </summary>
[TestClass]
[TestCategory("Mpi")]
public sealed class RanksFaultTests
{
    private static readonly (string, string)[] s_rows = [.. TinyTask.Rows.Select(row => (row.Prompt, row.Response))];

    [TestMethod]
    public void AnOpenedModelTrainsWhatFitDoes()
    {
        int[][] opened = Each(2, (ranks, options, folder) => Over(options, folder, options)), fitted = Each(2, (_, options, _) =>
        {
            var mlContext = new MLContext();
            using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(mlContext));
            return TinyTask.LogitBits((CausalLM)model.Model.Network!);
        });

        foreach (int[] logits in opened)
        {
            CollectionAssert.AreEqual(fitted[0], logits);
        }
    }

    /// <summary>Of the arguments, the folders, the rows, and of the opening itself; and of Fit what is wrong with its arguments.</summary>
    [TestMethod]
    [DataRow("opening", "nowhere")]
    [DataRow("rank", "Decompositions are kept up to rank 4")]
    [DataRow("types", "the model was opened with")]
    [DataRow("evaluations", "evaluations")]
    [DataRow("rows", "no row is left to work with")]
    [DataRow("checkpoints", "CheckpointFolder '")]
    [DataRow("validation", "EarlyStoppingPatience")]
    [DataRow("Fit, validation", "EarlyStoppingPatience")]
    [DataRow("Fit, null", "input")]
    public void BeforeTheFirstStepTheOthersHearWhy(string fault, string said)
    {
        string[] errors = Each(3, (ranks, options, folder) =>
        {
            bool fails = ranks.Rank == 1;
            string Fails(Action train) => Assert.Throws<Exception>(train).Message;
            options.Progress = new At(1, () => Assert.Fail("A step was trained."));
            if (fault.StartsWith("Fit", StringComparison.Ordinal))
            {
                var mlContext = new MLContext();
                options.EarlyStoppingPatience = 3;
                SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(options);
                IDataView data = TinyTask.Data(mlContext);
                return Fails(() => (!fails ? trainer.Fit(data, data)
                    : trainer.Fit(fault == "Fit, null" ? null! : data)).Dispose());
            }

            Options opened = Small(ranks);
            if (fails)
            {
                opened.ModelFolder = fault == "opening" ? folder.File("nowhere") : opened.ModelFolder;
                options.Rank = fault == "rank" ? 5 : options.Rank;
                options.SavedType = fault == "types" ? WeightType.BFloat16 : options.SavedType;
                options.EarlyStoppingPatience = fault == "validation" ? 3 : null;
            }

            // They are rank 0's business, whose folder lies below a file.
            options.CheckpointFolder = fault == "checkpoints" && ranks.Rank == 0
                ? Path.Combine(TestData.TinyLlama, "config.json", "below") : null;

            return Fails(() => Over(
                opened, folder, options, fails && fault == "rows" ? [("", "")] : s_rows, fails && fault == "evaluations" ? 0 : null));
        });

        int failed = fault == "checkpoints" ? 0 : 1;
        Assert.Contains(said, errors[failed]);
        foreach (string error in errors.Where((_, rank) => rank != failed))
        {
            Assert.AreEqual($"Rank {failed} of 3 has failed: {errors[failed]}", error);
        }
    }

    [TestMethod]
    public void FromTheFirstStepOnAFaultEndsThemAll()
    {
        var fault = new InvalidOperationException("This one cannot go on.");

        AggregateException[] errors = Each(2, (ranks, options, folder) =>
        {
            options.Progress = new At(3, () => throw fault);
            return Assert.ThrowsExactly<AggregateException>(() => Over(options, folder, options));
        });

        Assert.AreSame(fault, errors[0].InnerExceptions[0]);
        Assert.StartsWith("Aborted by rank 0: ", errors[0].InnerExceptions[1].Message);
    }

    /// <summary>Its decompositions go by the rank and the seed that it was opened with, and these are of no training's options.</summary>
    [TestMethod]
    [DataRow(5, 0, "Decomposition: rank 0 has largest rank 4, Seed 0, rank 1 largest rank 5, Seed 0")]
    [DataRow(4, 1, "Decomposition: rank 0 has largest rank 4, Seed 0, rank 1 largest rank 4, Seed 1")]
    public void AModelThatWasOpenedOtherwiseIsRefused(int largestRank, int seed, string part)
    {
        string[] errors = Each(2, (ranks, options, folder) =>
        {
            Options opened = Small(ranks);
            opened.Seed += ranks.Rank == 1 ? seed : 0;
            return Assert.ThrowsExactly<InvalidOperationException>(
                () => Over(opened, folder, options, largestRank: ranks.Rank == 1 ? largestRank : 4)).Message;
        });

        Assert.AreEqual(errors[0], errors[1]);
        Assert.Contains(part, errors[0]);
        Assert.Contains("open the model with the same largest rank and Seed (OpenBaseModel) on every rank", errors[0]);
    }

    /// <summary>Several trainings of one model may run at a time, but not among the same ranks; the one under way goes on.</summary>
    [TestMethod]
    public void TheSameRanksTrainOneAtATime()
    {
        int refused = 0;

        int[][] logits = Each(2, (ranks, options, folder) =>
        {
            using SorsaBaseModel model = new MLContext().Sorsa().OpenBaseModel(options, 4, folder.File("kept"));
            Options second = Small(ranks);
            options.Progress = new At(3, () =>
            {
                string error = Assert.ThrowsExactly<InvalidOperationException>(() => model.FineTune(second, s_rows)).Message;
                Assert.StartsWith("Ranks: these processes are training together already", error);
                refused++;
            });
            (SorsaTransformer trained, _) = model.FineTune(options, s_rows);
            using (trained)
            {
                return TinyTask.LogitBits((CausalLM)trained.Model.Network!);
            }
        });

        Assert.AreEqual(1, refused);
        CollectionAssert.AreEqual(logits[0], logits[1]);
    }

    /// <summary>Every rank has a folder of its own, as on a machine of its own.</summary>
    private static T[] Each<T>(int count, Func<ITrainingRanks, Options, TemporaryFolder, T> run) => ThreadRanks.Run(count, ranks =>
    {
        set_num_threads(1);
        using var folder = new TemporaryFolder();
        return run(ranks, Small(ranks), folder);
    });

    private static int[] Over(
        Options opened, TemporaryFolder folder, Options options, (string, string)[]? rows = null, int? evaluations = null,
        int largestRank = 4)
    {
        using SorsaBaseModel model = new MLContext().Sorsa().OpenBaseModel(opened, largestRank, folder.File("kept"));
        (SorsaTransformer trained, _) = model.FineTune(options, rows ?? s_rows, evaluations: evaluations);
        using (trained)
        {
            return TinyTask.LogitBits((CausalLM)trained.Model.Network!);
        }
    }

    private static Options Small(ITrainingRanks ranks)
    {
        Options options = TinyTask.Options();
        (options.Ranks, options.NumberOfEpochs) = (ranks, 2);
        return options;
    }

    private sealed class At(int step, Action act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value)
        {
            if (value.Step == step)
            {
                act();
            }
        }
    }
}
