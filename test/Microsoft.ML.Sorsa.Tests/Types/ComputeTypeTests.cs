using System.Runtime.Intrinsics.X86;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tests.Memory;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Types;

/// <summary>What Auto chooses, by processor, sizes and method; what is slow is said.</summary>
[TestClass]
[TestCategory("Mixed")]
public sealed class ComputeTypeTests
{
    private static readonly DecoderSpec s_tiny = DecoderConfig.Load(TestData.TinyLlama).Spec;

    private static readonly DecoderSpec s_small = s_tiny with { HiddenSize = 576 };

    [TestMethod]
    [DataRow(BFloat16Support.Amx, 576, false, true, "AMX")]
    [DataRow(BFloat16Support.Amx, 256, false, false, "hidden size is 256")]
    [DataRow(BFloat16Support.Avx512, 256, false, true, "AVX512-BF16")]
    [DataRow(BFloat16Support.Avx512, 128, false, false, "hidden size is 128")]
    [DataRow(BFloat16Support.None, 4096, false, false, "neither AMX nor AVX512-BF16")]
    [DataRow(BFloat16Support.Unknown, 4096, false, false, "measured on x64 processors alone")]
    [DataRow(BFloat16Support.Amx, 4096, true, false, "small steps are rounded away")]
    public void AutoChoosesByProcessorSizesAndMethod(object support, int hiddenSize, bool everyWeight, bool isNarrow, string why)
    {
        var choice = ComputeTypeChoice.OnCpu(
            WeightType.Auto, ScalarType.Float16, s_tiny with { HiddenSize = hiddenSize }, everyWeight,
            (BFloat16Support)support);

        Assert.AreEqual(isNarrow ? ScalarType.BFloat16 : ScalarType.Float32, choice.Type);
        Assert.IsFalse(choice.IsWidened);
        Assert.StartsWith($"ComputeType Auto: {choice.Type}, since ", choice.Remark!);
        Assert.Contains(why, choice.Remark!);
    }

    [TestMethod]
    [DataRow(9, false, ScalarType.BFloat16)]
    [DataRow(8, false, ScalarType.BFloat16)]
    [DataRow(8, true, ScalarType.Float32)]
    [DataRow(7, false, ScalarType.Float32)]
    [DataRow(null, false, ScalarType.Float32)]
    public void OnAGpuItAsksForTheCapability(int? capability, bool everyWeight, ScalarType type) => Assert.AreEqual(
        type, ComputeTypeChoice.OnGpu(everyWeight, capability).Type);

    /// <summary>With figures, and what to do; where the processor multiplies it, or is unknown, nothing is said.</summary>
    [TestMethod]
    public void ATypeThatIsWidenedIsSaid()
    {
        var slow = ComputeTypeChoice.OnCpu(ScalarType.BFloat16, BFloat16Support.None);

        Assert.AreEqual((ScalarType.BFloat16, true), (slow.Type, slow.IsWidened));
        Assert.Contains("1.0 to 1.1 times as long as in Float32, a prompt 1.0 to 1.5, a generated token 0.6 to 0.9", slow.Remark!);
        Assert.Contains("What trains fastest here is Float32 as ComputeType, or Auto.", slow.Remark!);
        foreach (BFloat16Support support in new[] { BFloat16Support.Amx, BFloat16Support.Avx512, BFloat16Support.Unknown })
        {
            Assert.IsNull(ComputeTypeChoice.OnCpu(ScalarType.BFloat16, support).Remark);
        }

        foreach (BFloat16Support support in Enum.GetValues<BFloat16Support>())
        {
            Assert.IsNull(ComputeTypeChoice.OnCpu(ScalarType.Float32, support).Remark);
            Assert.AreEqual(
                ScalarType.BFloat16,
                ComputeTypeChoice.OnCpu(WeightType.Checkpoint, ScalarType.BFloat16, s_small, false, support).Type);
        }
    }

    /// <summary>What CPUID says is what Linux says.</summary>
    [TestMethod]
    public void TheProcessorIsWhatLinuxTakesItFor()
    {
        const string Path = "/proc/cpuinfo";
        TestData.Require(Path);
        string? flags = File.ReadLines(Path).FirstOrDefault(line => line.StartsWith("flags", StringComparison.Ordinal));
        if (flags is null)
        {
            Assert.Inconclusive($"{Path} lists no flags: this is no x64 processor.");
        }

        string[] words = flags!.Split(' ');
        if (words.Contains("avx512f") && !Avx512F.IsSupported)
        {
            Assert.Inconclusive("DOTNET_EnableAVX512 has .NET take the processor for one without it.");
        }

        BFloat16Support expected = !words.Contains("avx512f") ? BFloat16Support.None
            : words.Contains("amx_bf16") && words.Contains("amx_tile") ? BFloat16Support.Amx
            : words.Contains("avx512_bf16") ? BFloat16Support.Avx512
            : BFloat16Support.None;
        Assert.AreEqual(expected, Processor.BFloat16);
        Assert.AreEqual(words.Contains("avx512_fp16"), Processor.HasFloat16);
    }

    /// <summary>The tiny model's matrices are small on every processor.</summary>
    [TestMethod]
    public void TheLogSaysWhatWasChosenAndTheRunIsThatType()
    {
        Options options = TinyTask.Options();
        options.MaxSteps = 3;

        (double[] plain, List<string> before) = Losses(options);
        options.ComputeType = WeightType.Auto;
        (double[] auto, List<string> log) = Losses(options);

        CollectionAssert.AreEqual(plain, auto);
        Assert.DoesNotContain("ComputeType Auto", string.Join('\n', before));
        Assert.ContainsSingle(line => line.StartsWith("ComputeType Auto: Float32, since ", StringComparison.Ordinal), log);
    }

    [TestMethod]
    public void AModelIsLoadedInWhatAutoChooses()
    {
        var mlContext = new MLContext();
        var log = new List<string>();
        mlContext.Log += (_, message) => log.Add(Text(message));
        using SorsaTransformer plain = mlContext.Sorsa().LoadModel(TestData.TinyLlama);
        using SorsaTransformer model = mlContext.Sorsa().LoadModel(TestData.TinyLlama, computeType: WeightType.Auto);

        Assert.AreEqual(ScalarType.Float32, model.Model.Network.Type);
        Assert.AreEqual(plain.Generate("What is 1 + 1?"), model.Generate("What is 1 + 1?"));
        Assert.ContainsSingle(line => line.StartsWith("ComputeType Auto: Float32, since ", StringComparison.Ordinal), log);
    }

    /// <summary>
    /// Its weights are loaded before it is known what trains on them: Auto chooses for the method that it is opened with, and what would
    /// lose its small steps in 16 bits is refused.
    /// </summary>
    [TestMethod]
    public void ABaseModelIsOpenedForItsMethod()
    {
        if (Processor.BFloat16 == BFloat16Support.None)
        {
            Assert.Inconclusive("Auto chooses 16 bits on a processor with AVX512-BF16 or AMX alone.");
        }

        using var folder = new TemporaryFolder();
        string model = RandomFolder.Write(folder.File("model"), new RandomSizes(512, 256, 1, 4, 4, 1024));
        Options adapter = Of(FineTuningMethod.Lora), full = Of(FineTuningMethod.Full);
        (string, string)[] rows = [.. TinyTask.Rows.Select(row => (row.Prompt, row.Response))];

        using SorsaBaseModel narrow = new MLContext().Sorsa().OpenBaseModel(adapter, 2, folder.File("kept"));
        using SorsaBaseModel wide = new MLContext().Sorsa().OpenBaseModel(full, 2, folder.File("kept"));
        using SorsaTransformer adapted = narrow.FineTune(adapter, rows).Model, trained = wide.FineTune(full, rows).Model;
        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(() => narrow.FineTune(full, rows));

        Assert.AreEqual(ScalarType.BFloat16, adapted.Model.Network.Type);
        Assert.AreEqual(ScalarType.Float32, trained.Model.Network.Type);
        Assert.Contains("ComputeType is Auto, and the model was opened in 16 bits, in which Full would lose small steps", error.Message);
        Assert.Contains("with Float32, or with Auto and Method Full", error.Message);

        Options Of(FineTuningMethod method) => new()
        {
            ModelFolder = model,
            ComputeType = WeightType.Auto,
            Method = method,
            MaxSteps = 1,
        };
    }

    /// <summary>A file is the same everywhere, and a checkpoint of a run belongs to the type that was chosen.</summary>
    [TestMethod]
    public void AutoNamesNoTypeOfAFileAndNoRun()
    {
        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(
            () => new MLContext().Sorsa().FineTune(new Options { ModelFolder = TestData.TinyLlama, SavedType = WeightType.Auto }));
        Assert.Contains("SavedType is Auto", error.Message);
        Assert.Contains("Checkpoint", error.Message);

        IReadOnlyDictionary<string, string> Run(WeightType asked, ScalarType chosen)
        {
            FineTuningSettings settings = new Options { ModelFolder = "folder", ComputeType = asked }.ToSettings();
            return RunFingerprint.Of(settings, settings.Training, 1, [], [], "base", CPU, chosen).Run;
        }

        Assert.IsNull(RunIdentity.Difference(
            Run(WeightType.Auto, ScalarType.BFloat16), Run(WeightType.BFloat16, ScalarType.BFloat16)));
        Assert.Contains("ComputeType: the checkpoint has 'BFloat16', this training 'Float32'", RunIdentity.Difference(
            Run(WeightType.Auto, ScalarType.BFloat16), Run(WeightType.Auto, ScalarType.Float32))!);
    }

    /// <summary>Without what ML.NET puts before it: where it comes from, in square brackets.</summary>
    private static string Text(LoggingEventArgs message) =>
        message.Message[(message.Message.IndexOf(']', StringComparison.Ordinal) + 1)..].Trim();

    private static (double[] Losses, List<string> Log) Losses(Options options)
    {
        var mlContext = new MLContext();
        var log = new List<string>();
        mlContext.Log += (_, message) => log.Add(Text(message));
        using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(mlContext));
        return ([.. model.Training!.Losses], log);
    }
}
