using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;
using Row = Microsoft.ML.Sorsa.Tests.Surface.TinyTask.Row;

namespace Microsoft.ML.Sorsa.Tests.Mpi;

/// <summary>
/// Ranks that do not fit together: found before the first step, on all of them, with the ranks' numbers and what to do. They are threads.
/// </summary>
[TestClass]
[TestCategory("Mpi")]
public sealed class RanksBadInputTests
{
    /// <summary>A machine's own: what the rank does there decides nothing of what all of them get.</summary>
    private static readonly string[] s_own =
    [
        nameof(Options.ModelFolder), nameof(Options.MapWeights), nameof(Options.PromptColumnName), nameof(Options.ResponseColumnName),
        nameof(Options.OutputColumnName), nameof(Options.MemoryCheck), nameof(Options.GradientCheckpointing), nameof(Options.Progress),
        nameof(Options.CancellationToken), nameof(Options.Analysis), nameof(Options.CheckpointFolder), nameof(Options.CheckpointSteps),
        nameof(Options.KeepCheckpoints), nameof(Options.Resume), nameof(Options.TensorBoardFolder), nameof(Options.Ranks),
    ];

    /// <summary>Every other option, with a value that <see cref="Base"/> does not have, and what it needs beside it.</summary>
    private static readonly Dictionary<string, (object Value, Action<Options> Prepare)> s_others = new(StringComparer.Ordinal)
    {
        [nameof(Options.PromptTemplate)] = (PromptTemplate.Format("Q: {prompt} A:"), Nothing),
        [nameof(Options.MaxPromptLength)] = (500, Nothing),
        [nameof(Options.MaxResponseLength)] = (500, Nothing),
        [nameof(Options.TrainedTokens)] = (TrainedTokens.All, Nothing),
        [nameof(Options.EndToken)] = (EndToken.Never, Nothing),
        [nameof(Options.Method)] = (FineTuningMethod.Lora, options => options.Gamma = null),
        [nameof(Options.Rank)] = (2, Nothing),
        [nameof(Options.Alpha)] = (3.0, Nothing),
        [nameof(Options.Dropout)] = (0.25, Nothing),
        [nameof(Options.TargetModules)] = (new[] { "q_proj" }, Nothing),
        [nameof(Options.Gamma)] = (1e-3, Nothing),
        [nameof(Options.RegularizerReduction)] = (RegularizerReduction.Sum, Nothing),
        [nameof(Options.Triplets)] = (SingularTriplets.Trailing, Nothing),
        [nameof(Options.SliceStart)] = (5, options => (options.Triplets, options.SliceStart) = (SingularTriplets.Slice, 3)),
        [nameof(Options.HardOrthonormality)] = (true, Nothing),
        [nameof(Options.RankBudget)] = (new RankBudget { TargetRank = 2, WarmupSteps = 0, FinalSteps = 0 }, AdaLora),
        [nameof(Options.GradientProjection)] = (new GradientProjection { UpdateSteps = 7 }, GaLore),
        [nameof(Options.LayerSampling)] = (new LayerSampling { Layers = 1 }, Lisa),
        [nameof(Options.Quantization)] = (BaseQuantization.NF4, Nothing),
        [nameof(Options.QuantizationRounds)] = (2, options => options.Quantization = BaseQuantization.NF4),
        [nameof(Options.LearningRate)] = (1e-4, Nothing),
        [nameof(Options.LearningRateDecay)] = (LearningRateDecay.Linear, Nothing),
        [nameof(Options.WarmupRatio)] = (0.5, Nothing),
        [nameof(Options.WeightDecay)] = (0.5, Nothing),
        [nameof(Options.AdamBeta1)] = (0.5, Nothing),
        [nameof(Options.AdamBeta2)] = (0.5, Nothing),
        [nameof(Options.AdamEpsilon)] = (1e-7, Nothing),
        [nameof(Options.MaxGradNorm)] = (0.5, Nothing),
        [nameof(Options.RowOrder)] = (RowOrder.AsGiven, Nothing),
        [nameof(Options.BatchSize)] = (7, Nothing),
        [nameof(Options.GradientAccumulationSteps)] = (2, Nothing),
        [nameof(Options.LogitsChunkSize)] = (100, Nothing),
        [nameof(Options.NumberOfEpochs)] = (2, Nothing),
        [nameof(Options.MaxSteps)] = (1, Nothing),
        [nameof(Options.EvaluationSteps)] = (1, Nothing),
        [nameof(Options.EarlyStoppingPatience)] = (3, Nothing),
        [nameof(Options.Seed)] = (1, Nothing),
        [nameof(Options.ComputeType)] = (WeightType.BFloat16, Nothing),
        [nameof(Options.SavedType)] = (WeightType.BFloat16, Nothing),
        [nameof(Options.AllowTf32)] = (true, Nothing),
        [nameof(Options.Generation)] = (new GenerationOptions { MaxNewTokens = 99 }, Nothing),
    };

    public static IEnumerable<object[]> Others => s_others.Keys.Select(name => new object[] { name });

    [TestMethod]
    public void EveryOptionIsComparedOrAMachinesOwn()
    {
        string[] options = [.. typeof(Options).GetProperties().Where(option => option.CanWrite).Select(option => option.Name)];

        CollectionAssert.AreEquivalent(options, s_own.Concat(s_others.Keys).ToArray());
    }

    [TestMethod]
    [DynamicData(nameof(Others))]
    public void RanksWithAnotherOptionAreRefused(string name)
    {
        (object value, Action<Options> prepare) = s_others[name];

        string[] errors = Refused((rank, options) =>
        {
            prepare(options);
            if (rank > 0)
            {
                typeof(Options).GetProperty(name)!.SetValue(options, value);
            }
        });

        AreAlike(errors, "Ranks 1, 2 of 3 are set up otherwise than rank 0. Give all of them the same options, data and model:");
        Assert.Contains(name, errors[0]);
        Assert.Contains(", ranks 1, 2 ", errors[0]);
    }

    [TestMethod]
    public void ATypeThatWasChosenOtherwiseIsToBeChosenByTheUser()
    {
        string[] errors = Refused((rank, options) => options.ComputeType = rank == 1 ? WeightType.BFloat16 : WeightType.Auto);

        AreAlike(errors, "Rank 1 of 3 is set up otherwise than rank 0. ");
        Assert.Contains("ComputeType: rank 0 has Float32, rank 1 BFloat16", errors[0]);
        Assert.Contains("ComputeType: choose one of them yourself where it is Auto", errors[0]);
    }

    /// <summary>Folders of one name and one size, on two machines.</summary>
    [TestMethod]
    [DataRow("model.safetensors", "Base: copy rank 0's model folder, whose weights are others, to the other machines.")]
    [DataRow("config.json", "Model files: copy rank 0's model folder, whose config.json or tokenizer is another, to the other machines.")]
    public void RanksWithAnotherModelAreRefused(string file, string remedy)
    {
        using var machines = new TemporaryFolder();
        string[] models = [machines.File("first", "model"), machines.File("second", "model")];
        foreach (string model in models)
        {
            Directory.CreateDirectory(model);
            foreach (string original in Directory.GetFiles(TestData.TinyLlama))
            {
                File.Copy(original, Path.Combine(model, Path.GetFileName(original)));
            }
        }

        // The last bit of the last weight; of the text the space behind its brace.
        byte[] bytes = File.ReadAllBytes(Path.Combine(models[1], file));
        if (file == "config.json")
        {
            bytes = [.. bytes, (byte)' '];
        }
        else
        {
            bytes[^2] ^= 1;
        }

        File.WriteAllBytes(Path.Combine(models[1], file), bytes);

        string[] errors = Refused((rank, options) => options.ModelFolder = models[rank == 2 ? 1 : 0]);

        AreAlike(errors, "Rank 2 of 3 is set up otherwise than rank 0. ");
        Assert.Contains(remedy, errors[0]);
    }

    [TestMethod]
    [DataRow("one row less", "Training rows: rank 0 has 12, ")]
    [DataRow("another order", "Training rows: rank 0 has 12, ")]
    [DataRow("another row", "Training rows: rank 0 has 12, ")]
    [DataRow("another validation row", "Validation rows: rank 0 has 3, ")]
    [DataRow("no validation rows", "Validation rows: rank 0 has 3, ")]
    public void RanksWithOtherRowsAreRefused(string how, string part)
    {
        string[] errors = Refused(
            (_, _) => { },
            rank => rank == 0 ? TinyTask.Rows
                : how switch
                {
                    "one row less" => TinyTask.Rows[1..],
                    "another order" => [.. TinyTask.Rows.Reverse()],
                    "another row" => [.. TinyTask.Rows[1..], new Row { Prompt = "2 + 2", Response = "4" }],
                    _ => TinyTask.Rows,
                },
            rank => rank == 0 ? TinyTask.Rows[..3]
                : how switch
                {
                    "another validation row" => TinyTask.Rows[1..4],
                    "no validation rows" => null,
                    _ => TinyTask.Rows[..3],
                });

        AreAlike(errors, "Ranks 1, 2 of 3 are set up otherwise than rank 0. ");
        Assert.Contains(part, errors[0]);
        Assert.Contains("ows: read the same rows, in the same order, on every rank.", errors[0]);
    }

    [TestMethod]
    [DataRow("Library", "0.2.0+a", "0.2.0+b", "bring the same build of the program to every machine")]
    [DataRow("TorchSharp", "0.105.1", "0.105.2", "bring the same build of the program to every machine")]
    [DataRow("Device", "CUDA", "CPU", "see that every rank has its GPU")]
    [DataRow("Option of another version", null, "1", "Give all of them the same options")]
    public void RanksOfOtherBuildsOrKindsOfDevicesAreRefused(string name, string? first, string? second, string remedy)
    {
        string[] errors = ThreadRanks.Run(3, ranks =>
        {
            var setup = new Dictionary<string, string>();
            if ((ranks.Rank == 0 ? first : second) is { } value)
            {
                setup[name] = value;
            }

            return Assert.ThrowsExactly<InvalidOperationException>(() => new RankAgreement(ranks).Meet(setup)).Message;
        });

        AreAlike(errors, "Ranks 1, 2 of 3 are set up otherwise than rank 0. ");
        Assert.Contains($"{name}: rank 0 has {first ?? "nothing"}, ranks 1, 2 {second}", errors[0]);
        Assert.Contains(remedy, errors[0]);
    }

    /// <summary>Another kind of processor or card rounds otherwise and is no fault.</summary>
    [TestMethod]
    public void ProcessorsOfOtherKindsAreNamedInTheLog()
    {
        string?[] remarks = ThreadRanks.Run(3, ranks => new RankAgreement(ranks).Meet(
            new Dictionary<string, string> { [RankSetups.Processor] = ranks.Rank == 1 ? "fast" : "slow" }));
        string?[] none = ThreadRanks.Run(2, ranks => new RankAgreement(ranks).Meet(
            new Dictionary<string, string> { [RankSetups.Processor] = "slow" }));

        Assert.Contains("Processor: rank 0 has slow, rank 1 fast. ", remarks[0]!);
        Assert.AreEqual(remarks[0], remarks[2]);
        Assert.IsNull(none[0]);
    }

    [TestMethod]
    [DataRow(13, 13, "there are 12 rows to train on", "Bring more rows, or start fewer processes")]
    [DataRow(3, 2, "BatchSize is 2", "Raise BatchSize")]
    public void MoreRanksThanRowsAreRefused(int count, int batchSize, string why, string remedy)
    {
        string[] errors = Refused((_, options) => options.BatchSize = batchSize, count: count);

        AreAlike(errors, $"Ranks is {count}, and {why}");
        Assert.Contains(remedy, errors[0]);
    }

    /// <summary>What one runs into before the first step, the others hear with its number and its words.</summary>
    [TestMethod]
    [DataRow("checkpoints", "CheckpointFolder '")]
    [DataRow("nothing to resume", "Resume is Required, and CheckpointFolder '")]
    [DataRow("reports", "TensorBoardFolder")]
    [DataRow("model", "model.safetensors")]
    [DataRow("rows", "no row is left to work with")]
    public void TheOthersHearWhyOneCannotTrain(string fault, string said)
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("file");
        File.WriteAllText(file, "");
        Directory.CreateDirectory(folder.File("model"));
        foreach (string original in Directory.GetFiles(TestData.TinyLlama))
        {
            File.Copy(original, folder.File("model", Path.GetFileName(original)));
        }

        string weights = folder.File("model", "model.safetensors");
        File.WriteAllBytes(weights, File.ReadAllBytes(weights)[..^1000]);

        string[] errors = Refused(
            (rank, options) =>
            {
                options.CheckpointFolder = rank > 0 ? null
                    : fault == "checkpoints" ? Path.Combine(file, "below") : fault == "nothing to resume" ? folder.File("none") : null;
                options.Resume = rank == 0 && fault == "nothing to resume" ? ResumeMode.Required : ResumeMode.Auto;
                options.TensorBoardFolder = rank == 0 && fault == "reports" ? Path.Combine(file, "below") : null;
                options.ModelFolder = rank == 0 && fault == "model" ? folder.File("model") : options.ModelFolder;
            },
            rank => rank == 0 && fault == "rows" ? [new Row { Prompt = "", Response = "" }] : TinyTask.Rows);

        Assert.Contains(said, errors[0]);
        Assert.AreEqual($"Rank 0 of 3 has failed: {errors[0]}", errors[1]);
        Assert.AreEqual(errors[1], errors[2]);
    }

    /// <summary>One without validation rows of its own adds nothing, and hears what they come to.</summary>
    [TestMethod]
    public void FewerValidationRowsThanRanksAreEnough()
    {
        double one = ThreadRanks.Run(1, Validated)[0];

        double[] four = ThreadRanks.Run(4, Validated);

        Assert.HasCount(1, four.Distinct());
        Assert.AreEqual(one, four[0], 1e-5);

        static double Validated(ITrainingRanks ranks)
        {
            Options options = Base(ranks);
            options.Progress = null;
            var mlContext = new MLContext();
            using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(
                TinyTask.Data(mlContext), mlContext.Data.LoadFromEnumerable(TinyTask.Rows[..2]));
            return model.Training!.ValidationLosses[^1].Loss;
        }
    }

    private static void AreAlike(string[] errors, string beginning)
    {
        Assert.StartsWith(beginning, errors[0]);
        foreach (string error in errors)
        {
            Assert.AreEqual(errors[0], error);
        }
    }

    /// <summary>What every rank says instead of training.</summary>
    private static string[] Refused(
        Action<int, Options> change, Func<int, Row[]>? rows = null, Func<int, Row[]?>? validation = null, int count = 3) =>
        ThreadRanks.Run(count, ranks =>
        {
            Options options = Base(ranks);
            change(ranks.Rank, options);
            var mlContext = new MLContext();
            SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(options);
            IDataView train = mlContext.Data.LoadFromEnumerable(rows?.Invoke(ranks.Rank) ?? TinyTask.Rows);
            Row[]? validated = validation is null ? TinyTask.Rows[..2] : validation(ranks.Rank);
            return Assert.Throws<Exception>(() =>
                (validated is null ? trainer.Fit(train) : trainer.Fit(train, mlContext.Data.LoadFromEnumerable(validated))).Dispose())
                .Message;
        });

    private static Options Base(ITrainingRanks ranks)
    {
        Options options = TinyTask.Options();
        (options.Ranks, options.BatchSize, options.Progress) = (ranks, 6, new NoSteps());
        return options;
    }

    private static void Nothing(Options options)
    {
    }

    private static void GaLore(Options options) => options.Method = FineTuningMethod.GaLore;

    private static void AdaLora(Options options) => (options.Method, options.RankBudget) =
        (FineTuningMethod.AdaLora, new RankBudget { TargetRank = 3, WarmupSteps = 0, FinalSteps = 0 });

    private static void Lisa(Options options) => (options.Method, options.Rank, options.TargetModules, options.LayerSampling) =
        (FineTuningMethod.Lisa, null, new Options().TargetModules, new LayerSampling { Layers = 2 });

    private sealed class NoSteps : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => Assert.Fail("A step was trained.");
    }
}
