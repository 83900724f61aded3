using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Tests.Surface;

namespace Microsoft.ML.Sorsa.Tests.Memory;

/// <summary>The formulas against what libtorch's allocator really gave out, over whole trainings, on the CPU.</summary>
[TestClass]
[TestCategory("Estimate")]
[DoNotParallelize]
public sealed class EstimateTests
{
    /// <summary>What the issue asks for.</summary>
    private const double Tolerance = 0.1;

    /// <summary>Wide and shallow enough that the weights matter, or the scores.</summary>
    private static readonly Dictionary<string, RandomSizes> s_sizes = new(StringComparer.Ordinal)
    {
        ["wide"] = new RandomSizes(512, 1408, 4, 8, 8, 4096, Tied: false),
        ["grouped"] = new RandomSizes(256, 704, 6, 8, 2, 2048),
        ["words"] = new RandomSizes(64, 128, 2, 4, 2, 16384),
        ["window"] = new RandomSizes(128, 256, 3, 4, 2, 1024, Window: 32),
    };

    private static TemporaryFolder? s_folder;

    private static readonly Dictionary<string, string> s_models = new(StringComparer.Ordinal);

    public static IEnumerable<object[]> Cases
    {
        get
        {
            FineTuningMethod[] methods =
            [
                FineTuningMethod.Sorsa, FineTuningMethod.Lora, FineTuningMethod.Dora, FineTuningMethod.AdaLora, FineTuningMethod.Pissa,
                FineTuningMethod.Partial,
            ];
            foreach (FineTuningMethod method in methods)
            {
                foreach (WeightType type in new[] { WeightType.Float32, WeightType.BFloat16 })
                {
                    int rank = method == FineTuningMethod.Partial ? 0 : 16;
                    yield return ["tiny", method, rank, type, "8 x 70", ""];
                    yield return ["grouped", method, rank, type, "4 x 40", ""];
                    yield return ["tiny", method, rank == 0 ? 0 : 64, type, "1 x 14", ""];
                }
            }

            yield return ["tiny", FineTuningMethod.Full, 0, WeightType.Float32, "8 x 70", ""];
            yield return ["grouped", FineTuningMethod.Full, 0, WeightType.Float32, "2 x 20", ""];
            yield return ["words", FineTuningMethod.Full, 0, WeightType.Float32, "2 x 20", ""];
            foreach (string run in new[] { "", " checkpointed", " accumulated", " validated" })
            {
                yield return ["tiny", FineTuningMethod.GaLore, 16, WeightType.Float32, $"4 x 40{run}", ""];
                yield return ["tiny", FineTuningMethod.Lisa, 0, WeightType.Float32, $"4 x 40{run}", ""];
            }

            yield return ["tiny", FineTuningMethod.GaLore, 16, WeightType.Float32, "8 x 70", ""];
            yield return ["grouped", FineTuningMethod.GaLore, 8, WeightType.Float32, "2 x 20", ""];
            yield return ["words", FineTuningMethod.GaLore, 64, WeightType.Float32, "2 x 20", ""];
            yield return ["wide", FineTuningMethod.GaLore, 16, WeightType.Float32, "2 x 20", ""];
            yield return ["wide", FineTuningMethod.GaLore, 64, WeightType.Float32, "1 x 14 targets", ""];
            yield return ["wide", FineTuningMethod.GaLore, 16, WeightType.BFloat16, "2 x 40 targets", ""];
            yield return ["tiny", FineTuningMethod.GaLore, 16, WeightType.Float32, "8 x 70 query", ""];
            yield return ["tiny", FineTuningMethod.Lisa, 0, WeightType.Float32, "8 x 70", ""];
            yield return ["grouped", FineTuningMethod.Lisa, 0, WeightType.Float32, "2 x 20", ""];
            yield return ["words", FineTuningMethod.Lisa, 0, WeightType.Float32, "2 x 20", ""];
            yield return ["wide", FineTuningMethod.Lisa, 0, WeightType.Float32, "1 x 14", ""];
            yield return ["wide", FineTuningMethod.Lora, 8, WeightType.Float32, "1 x 14", "weights"];
            yield return ["wide", FineTuningMethod.Sorsa, 32, WeightType.Float32, "2 x 40", ""];
            yield return ["wide", FineTuningMethod.Sorsa, 128, WeightType.BFloat16, "2 x 40", ""];
            yield return ["words", FineTuningMethod.Lora, 8, WeightType.Float32, "8 x 60", "logits"];
            yield return ["words", FineTuningMethod.Sorsa, 8, WeightType.BFloat16, "8 x 60", "logits"];
            yield return ["grouped", FineTuningMethod.Lora, 4, WeightType.Float32, "16 x 100", "activations"];
            yield return ["grouped", FineTuningMethod.Lora, 4, WeightType.BFloat16, "4 x 400", "activations"];
            yield return ["window", FineTuningMethod.Lora, 8, WeightType.Float32, "4 x 100", "activations"];
            yield return ["window", FineTuningMethod.Lora, 8, WeightType.BFloat16, "2 x 300", "activations"];
            yield return ["tiny", FineTuningMethod.Sorsa, 16, WeightType.Float32, "8 x 70 nf4", ""];
            yield return ["wide", FineTuningMethod.Lora, 8, WeightType.BFloat16, "2 x 40 nf4", ""];
            yield return ["wide", FineTuningMethod.Sorsa, 16, WeightType.Float32, "2 x 40 nf4", ""];
            yield return ["tiny", FineTuningMethod.Sorsa, 16, WeightType.Float32, "8 x 70 dropout", ""];
            yield return ["tiny", FineTuningMethod.Lora, 64, WeightType.Float32, "2 x 20 accumulated", ""];
            yield return ["tiny", FineTuningMethod.Lora, 64, WeightType.Float32, "2 x 20 validated", ""];
            yield return ["tiny", FineTuningMethod.Sorsa, 16, WeightType.Float32, "8 x 70 query", ""];
            yield return ["tiny", FineTuningMethod.Sorsa, 64, WeightType.Float32, "2 x 20 hard", ""];
            yield return ["tiny", FineTuningMethod.Sorsa, 16, WeightType.Float32, "8 x 70 checkpointed", ""];
            yield return ["tiny", FineTuningMethod.Dora, 16, WeightType.Float32, "8 x 70 checkpointed", ""];
            yield return ["grouped", FineTuningMethod.Lora, 16, WeightType.BFloat16, "4 x 40 checkpointed", ""];
            yield return ["tiny", FineTuningMethod.Full, 0, WeightType.Float32, "8 x 70 checkpointed", ""];
            yield return ["words", FineTuningMethod.Lora, 8, WeightType.Float32, "8 x 60 chunked", ""];
        }
    }

    [ClassInitialize]
    public static void Write(TestContext context)
    {
        s_folder = new TemporaryFolder();
        s_models["tiny"] = TestData.TinyLlama;
        foreach ((string name, RandomSizes sizes) in s_sizes)
        {
            s_models[name] = RandomFolder.Write(s_folder.File(name), sizes);
        }
    }

    [ClassCleanup]
    public static void Delete() => s_folder?.Dispose();

    /// <param name="model">The folder.</param>
    /// <param name="method">The method.</param>
    /// <param name="rank">0: none.</param>
    /// <param name="type">What it computes in.</param>
    /// <param name="run">Rows of a micro-batch, words of the longest, and what else there is.</param>
    /// <param name="largest">The part that has to be the largest; empty: whichever.</param>
    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void ThePeakIsThatOfTheAllocator(string model, FineTuningMethod method, int rank, WeightType type, string run, string largest)
    {
        var mlContext = new MLContext(0);
        SorsaFineTuningTrainer.Options options = Options(s_models[model], method, rank, type, run);
        IDataView rows = mlContext.Data.LoadFromEnumerable(Rows(run));
        IDataView? validation = run.Contains("validated", StringComparison.Ordinal) ? rows : null;

        SorsaMemoryEstimate estimate = mlContext.Sorsa().Estimate(options, rows, validation);
        long measured = Measure(() => validation is null
            ? mlContext.Sorsa().FineTune(options).Fit(rows)
            : mlContext.Sorsa().FineTune(options).Fit(rows, validation));

        double ratio = (double)estimate.Peak / measured;
        Assert.AreEqual(1, ratio, Tolerance, string.Create(CultureInfo.InvariantCulture, $"{measured:N0} bytes; {estimate}"));
        if (largest.Length > 0)
        {
            Assert.AreEqual(largest, estimate.Parts.MaxBy(part => part.Bytes).Name);
        }
    }

    private static SorsaFineTuningTrainer.Options Options(
        string folder, FineTuningMethod method, int rank, WeightType type, string run) => new()
        {
            ModelFolder = folder,
            Method = method,
            Rank = rank > 0 ? rank : null,
            ComputeType = type,
            LearningRate = 1e-5,
            BatchSize = int.Parse(run.Split(' ')[0], CultureInfo.InvariantCulture),
            GradientAccumulationSteps = run.Contains("accumulated", StringComparison.Ordinal) ? 3 : 1,
            NumberOfEpochs = 2,
            GradientCheckpointing = run.Contains("checkpointed", StringComparison.Ordinal),
            LogitsChunkSize = run.Contains("chunked", StringComparison.Ordinal) ? 50 : 512,
            Dropout = run.Contains("dropout", StringComparison.Ordinal) ? 0.1 : 0,
            Quantization = run.Contains("nf4", StringComparison.Ordinal) ? BaseQuantization.NF4 : BaseQuantization.None,
            HardOrthonormality = run.Contains("hard", StringComparison.Ordinal),
            TargetModules = run.Contains("query", StringComparison.Ordinal)
                ? ["q_proj", "v_proj"]
                : new SorsaFineTuningTrainer.Options().TargetModules,
            GradientProjection = method == FineTuningMethod.GaLore
                ? new GradientProjection { UpdateSteps = 2, TargetsOnly = run.Contains("targets", StringComparison.Ordinal) }
                : null,
            LayerSampling = method == FineTuningMethod.Lisa ? new LayerSampling { IntervalSteps = 2 } : null,
            RankBudget = method == FineTuningMethod.AdaLora ? new RankBudget { WarmupSteps = 0, FinalSteps = 1 } : null,
            PromptTemplate = PromptTemplate.Format("{prompt}"),
        };

    /// <summary>Three micro-batches of rows of unequal length, a quarter of it prompt.</summary>
    private static IEnumerable<TinyTask.Row> Rows(string run)
    {
        string[] words = run.Split(' ');
        (int rows, int longest) = (int.Parse(words[0], CultureInfo.InvariantCulture), int.Parse(words[2], CultureInfo.InvariantCulture));
        for (int row = 0; row < 3 * rows; row++)
        {
            int length = longest - (row % 5);
            yield return new TinyTask.Row { Prompt = Words(length / 4), Response = Words(length - (length / 4)) };
        }

        static string Words(int count) => string.Concat(Enumerable.Repeat("apples ", count));
    }

    /// <summary>The most that was alive at a time, in bytes.</summary>
    private static long Measure(Func<SorsaTransformer> train)
    {
        // What earlier tests left to the collector is freed now, and not while this counts.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        using var memory = new AllocatedMemory();
        using SorsaTransformer model = train();
        return AllocatedMemory.Peak;
    }
}
