using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Checkpoints;
using Microsoft.ML.Sorsa.Tests.Surface;
using TorchSharp;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>Adapters apart from their base: written, put onto it again, switched.</summary>
[TestClass]
[TestCategory("Adapters")]
[DoNotParallelize]
public sealed class AdaptersFileTests
{
    private static readonly FineTuningMethod[] LowRank =
    [
        FineTuningMethod.Sorsa, FineTuningMethod.Lora, FineTuningMethod.RsLora, FineTuningMethod.Pissa, FineTuningMethod.Dora,
        FineTuningMethod.AdaLora,
    ];

    private static readonly MLContext s_ml = new();

    public static IEnumerable<object[]> Trainings => LowRank.SelectMany(method => new object[][] { [method, false], [method, true] });

    public static IEnumerable<object[]> Differences =>
        LowRank.Where(method => method != FineTuningMethod.Dora).Select(method => new object[] { method });

    [TestMethod]
    [DynamicData(nameof(Trainings))]
    public void BaseAndFileAreTheTrainedModelToTheLastBit(FineTuningMethod method, bool quantized)
    {
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "adapter");
        using SorsaTransformer trained = Train(
            method, options => options.Quantization = quantized ? BaseQuantization.NF4 : BaseQuantization.None);
        trained.SaveAdapter(file);
        using SorsaTransformer model = Base();
        int[] before = TinyTask.LogitBits(model.Model.Network);

        model.LoadAdapter("it", file);
        Assert.IsNull(model.ActiveAdapter);
        CollectionAssert.AreEqual(before, TinyTask.LogitBits(model.Model.Network));
        model.UseAdapter("it");
        int[] adapted = TinyTask.LogitBits(model.Model.Network);
        model.UseAdapter(null);

        CollectionAssert.AreEqual(TinyTask.LogitBits(trained.Model.Network), adapted);
        CollectionAssert.AreEqual(before, TinyTask.LogitBits(model.Model.Network));
        CollectionAssert.AreNotEqual(before, adapted);
    }

    /// <summary>SORSA and PiSSA at rank 2r, the others at their own: an ordinary LoRA over the untouched base.</summary>
    [TestMethod]
    [DynamicData(nameof(Differences))]
    public void TheDifferenceIsAnOrdinaryLora(FineTuningMethod method)
    {
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "lora"), inFloat32 = WriteInFloat32(folder.File("float32"));
        using SorsaTransformer trained = Train(method, options => options.ModelFolder = inFloat32);
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(inFloat32);

        trained.SaveAdapter(file, AdapterFormat.LoraDifference);
        model.LoadAdapter("it", file);
        model.UseAdapter("it");

        using JsonDocument config = JsonDocument.Parse(File.ReadAllText(Path.Combine(file, "adapter_config.json")));
        int rank = method is FineTuningMethod.Sorsa or FineTuningMethod.Pissa ? 8 : 4;
        Assert.AreEqual(rank, config.RootElement.GetProperty("r").GetInt32());
        Assert.AreEqual(rank, config.RootElement.GetProperty("lora_alpha").GetInt32());
        Assert.AreEqual("LORA", config.RootElement.GetProperty("peft_type").GetString());
        Assert.IsFalse(config.RootElement.GetProperty("use_rslora").GetBoolean());
        AssertClose(trained, model, 4e-6);
    }

    [TestMethod]
    [DataRow(FineTuningMethod.Lora)]
    [DataRow(FineTuningMethod.RsLora)]
    [DataRow(FineTuningMethod.Dora)]
    [DataRow(FineTuningMethod.Pissa)]
    public void WhatIsWrittenForPeftIsReadAgain(FineTuningMethod method)
    {
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "peft");
        using SorsaTransformer trained = Train(method, options => options.Alpha = 8), model = Base();

        trained.SaveAdapter(file, AdapterFormat.Peft);
        model.LoadAdapter("it", file);
        model.UseAdapter("it");

        AssertClose(trained, model, 1e-6);
        using AdapterWeights again = PeftFolder.Read(file);
        Assert.AreEqual(trained.Trained!.Method, again.Method);
        Assert.AreEqual(trained.Trained.Scale, again.Scale, 1e-15);
        foreach ((string path, IReadOnlyDictionary<string, Tensor> parts) in again.Tensors)
        {
            Assert.IsTrue(parts.All(part => part.Value.bytes.SequenceEqual(trained.Trained.Tensors[path][part.Key].bytes)), path);
        }
    }

    [TestMethod]
    public void SeveralAdaptersShareABase()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer first = Train(FineTuningMethod.Sorsa),
            second = Train(FineTuningMethod.Lora, options => options.TargetModules = ["v_proj"]),
            model = Base();
        first.SaveAdapter(Path.Combine(folder.Path, "first"));
        second.SaveAdapter(Path.Combine(folder.Path, "second"));

        model.LoadAdapter("b", Path.Combine(folder.Path, "second"));
        model.LoadAdapter("a", Path.Combine(folder.Path, "first"));

        Assert.AreEqual("a b", string.Join(' ', model.AdapterNames));
        foreach ((string name, SorsaTransformer trained) in new[] { ("a", first), ("b", second), ("a", first) })
        {
            model.UseAdapter(name);
            Assert.AreEqual(name, model.ActiveAdapter);
            CollectionAssert.AreEqual(TinyTask.LogitBits(trained.Model.Network), TinyTask.LogitBits(model.Model.Network));
            CollectionAssert.AreEqual(TinyTask.Answers(trained, TinyTask.Data(s_ml)), TinyTask.Answers(model, TinyTask.Data(s_ml)));
        }

        Assert.Contains("loaded are 'a', 'b'", Assert.ThrowsExactly<ArgumentException>(() => model.UseAdapter("c")).Message);
        var refused = Assert.ThrowsExactly<ArgumentException>(() => model.LoadAdapter("a", Path.Combine(folder.Path, "first")));
        Assert.Contains("'a' is loaded already", refused.Message);
        Assert.AreEqual("a", model.ActiveAdapter);
    }

    [TestMethod]
    public void SwitchingLeavesNothingBehind()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = Train(FineTuningMethod.Sorsa);
        trained.SaveAdapter(Path.Combine(folder.Path, "it"));
        using SorsaTransformer model = Base();
        model.LoadAdapter("it", Path.Combine(folder.Path, "it"));
        var counts = new List<long>();

        // A Parameter counts twice and goes once (TorchSharp 0.107): so many more a round, and no more.
        for (int i = 0; i < 8; i++)
        {
            model.UseAdapter("it");
            model.UseAdapter(null);
            GC.Collect();
            GC.WaitForPendingFinalizers();
            counts.Add(Tensor.TotalCount);
        }

        long[] growth = [.. counts.Zip(counts[1..], (earlier, later) => later - earlier)];
        int projections = trained.Trained!.Tensors.Count;
        Assert.IsTrue(growth[1..].All(grown => grown == growth[1] && grown <= 8 * projections), string.Join(' ', growth));
    }

    [TestMethod]
    public void AZipHoldsTheAdapterThatIsInUse()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = Train(FineTuningMethod.Sorsa), model = Base();
        trained.SaveAdapter(Path.Combine(folder.Path, "it"));
        model.LoadAdapter("it", Path.Combine(folder.Path, "it"));
        model.UseAdapter("it");
        using var zip = new MemoryStream();

        s_ml.Model.Save(model, TinyTask.Data(s_ml).Schema, zip);
        zip.Position = 0;
        using var loaded = (SorsaTransformer)s_ml.Model.Load(zip, out _);

        CollectionAssert.AreEqual(TinyTask.LogitBits(trained.Model.Network), TinyTask.LogitBits(loaded.Model.Network));
        Assert.IsEmpty(loaded.AdapterNames);
    }

    [TestMethod]
    public void TheFingerprintIsTheTensorsNotTheFiles()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var generator = new Generator(1);
        Dictionary<string, Tensor> tensors = new(StringComparer.Ordinal)
        {
            ["a"] = randn([300, 40], generator: generator),
            ["b"] = randn([7], generator: generator),
            ["c"] = zeros(0),
        };
        CheckpointFolder.Write(Path.Combine(folder.Path, "one"), [.. tensors], ScalarType.Float32);
        CheckpointFolder.Write(Path.Combine(folder.Path, "two"), [.. tensors.Reverse()], ScalarType.Float32, shardSize: 1000);
        string one = Fingerprint("one"), two = Fingerprint("two");
        tensors["a"] = tensors["a"] + 1e-6;
        CheckpointFolder.Write(Path.Combine(folder.Path, "three"), [.. tensors], ScalarType.Float32);

        Assert.AreEqual(one, two);
        Assert.AreNotEqual(one, Fingerprint("three"));

        string Fingerprint(string name)
        {
            using Checkpoint checkpoint = Checkpoint.OpenFolder(Path.Combine(folder.Path, name));
            return WeightsFingerprint.Of(checkpoint.Tensors);
        }
    }

    internal static SorsaTransformer Train(FineTuningMethod method, Action<Options>? set = null)
    {
        Options options = TinyTask.Options();
        options.Method = method;
        options.Rank = method == FineTuningMethod.Partial ? null : options.Rank;
        set?.Invoke(options);
        return s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml));
    }

    internal static SorsaTransformer Base() => s_ml.Sorsa().LoadModel(TestData.TinyLlama, generation: TinyTask.Options().Generation);

    /// <summary>
    /// The bundled model stored in float32: in bfloat16 the last bit of a sum may decide between two neighbours, which lie 2⁻⁸ of a weight
    /// apart.
    /// </summary>
    private static string WriteInFloat32(string folder)
    {
        using (CausalLM model = CausalLM.Load(TestData.TinyLlama, ScalarType.Float32, CPU))
        {
            CheckpointFolder.Write(folder, model.NamedWeights, ScalarType.Float32);
        }

        foreach (string file in Directory.GetFiles(TestData.TinyLlama, "*.json"))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        return folder;
    }

    /// <param name="expected">Its logits are met.</param>
    /// <param name="actual">By these.</param>
    /// <param name="tolerance">Of the largest logit.</param>
    private static void AssertClose(SorsaTransformer expected, SorsaTransformer actual, double tolerance)
    {
        float[] wanted = Logits(expected);
        Assert.IsLessThanOrEqualTo(tolerance * wanted.Max(Math.Abs), wanted.Zip(Logits(actual), (a, b) => Math.Abs(a - b)).Max());

        float[] Logits(SorsaTransformer model) => [.. TinyTask.LogitBits(model.Model.Network).Select(BitConverter.Int32BitsToSingle)];
    }
}
