using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Memory;

/// <summary>
/// The beginning and the end of a training, which are its peak where little trains on short rows: against libtorch's allocator, on the CPU.
/// </summary>
[TestClass]
[TestCategory("Estimate")]
[DoNotParallelize]
public sealed class EstimatePhasesTests
{
    private const double Tolerance = 0.1;

    private static readonly RandomSizes s_sizes = new(512, 1408, 2, 8, 8, 1024, Tied: false);

    private static TemporaryFolder? s_folder;

    public static IEnumerable<object[]> Cases =>
        from type in new[] { WeightType.Float32, WeightType.BFloat16 }
        from training in new (FineTuningMethod Method, int Rank, BaseQuantization Quantization)[]
        {
            (FineTuningMethod.Sorsa, 8, BaseQuantization.None), (FineTuningMethod.Sorsa, 64, BaseQuantization.None),
            (FineTuningMethod.Pissa, 8, BaseQuantization.None), (FineTuningMethod.Lora, 8, BaseQuantization.None),
            (FineTuningMethod.Dora, 8, BaseQuantization.None), (FineTuningMethod.Partial, 0, BaseQuantization.None),
            (FineTuningMethod.Lora, 8, BaseQuantization.NF4), (FineTuningMethod.Sorsa, 8, BaseQuantization.NF4),
        }
        select new object[] { training.Method, training.Rank, training.Quantization, type };

    [ClassInitialize]
    public static void Write(TestContext context)
    {
        s_folder = new TemporaryFolder();
        RandomFolder.Write(s_folder.Path, s_sizes);
    }

    [ClassCleanup]
    public static void Delete() => s_folder?.Dispose();

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void TheStartIsThatOfTheAllocator(FineTuningMethod method, int rank, BaseQuantization quantization, WeightType type)
    {
        FineTuningSettings settings = Options(method, rank, quantization, type).ToSettings();
        SorsaMemoryEstimate estimate = Estimate(method, rank, quantization, type);
        using var start = new FolderModel(settings, DecoderConfig.Load(settings.ModelFolder), CPU);
        using var generator = new Generator(1);
        AdapterMethod adapters = settings.Method.Create(
            settings.MethodSettings, new MethodRun(10, generator, Decomposition.Drawn(generator), 1));
        Collect();

        using var memory = new AllocatedMemory();
        using AdaptedModel model = start.Adapt(settings.TargetModules, adapters, isNamed: false, CancellationToken.None);

        AreClose(estimate.StartPeak, AllocatedMemory.Peak, estimate);
    }

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void TheEndIsThatOfTheAllocator(FineTuningMethod method, int rank, BaseQuantization quantization, WeightType type)
    {
        SorsaFineTuningTrainer.Options options = Options(method, rank, quantization, type);
        SorsaMemoryEstimate estimate = Estimate(method, rank, quantization, type);
        var last = new LastStep();
        options.Progress = last;
        var mlContext = new MLContext();
        Collect();

        using var memory = new AllocatedMemory();
        mlContext.Sorsa().FineTune(options).Fit(Rows(mlContext)).Dispose();

        // The moments are there for as long as the loop is.
        AreClose(
            Math.Max(estimate.EndPeak, estimate.Weights + estimate.Adapters + estimate.Moments), AllocatedMemory.Peak, estimate);
        Assert.AreEqual(1, last.Steps);
    }

    private static SorsaMemoryEstimate Estimate(FineTuningMethod method, int rank, BaseQuantization quantization, WeightType type)
    {
        var mlContext = new MLContext();
        return mlContext.Sorsa().Estimate(Options(method, rank, quantization, type), Rows(mlContext));
    }

    private static SorsaFineTuningTrainer.Options Options(
        FineTuningMethod method, int rank, BaseQuantization quantization, WeightType type) => new()
        {
            ModelFolder = s_folder!.Path,
            Method = method,
            Rank = rank == 0 ? null : rank,
            Quantization = quantization,
            ComputeType = type,
            LearningRate = 1e-5,
            MaxSteps = 1,
            BatchSize = 1,
        };

    private static IDataView Rows(MLContext mlContext) => mlContext.Data.LoadFromEnumerable(TinyTask.Rows.Take(1));

    private static void Collect()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    private static void AreClose(long estimated, long measured, SorsaMemoryEstimate estimate) => Assert.AreEqual(
        1, (double)estimated / measured, Tolerance,
        string.Create(CultureInfo.InvariantCulture, $"{measured:N0} bytes, {estimated:N0} estimated; {estimate}"));

    private sealed class LastStep : IProgress<SorsaTrainingProgress>
    {
        public int Steps { get; private set; }

        public void Report(SorsaTrainingProgress value)
        {
            Steps++;
            AllocatedMemory.ForgetPeak();
        }
    }
}
