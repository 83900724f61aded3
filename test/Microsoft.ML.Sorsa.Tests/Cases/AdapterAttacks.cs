using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Adapters;
using Microsoft.ML.Sorsa.Tests.Surface;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>Adapters that were altered, and trainings that end in weights which are none.</summary>
[TestClass]
[DoNotParallelize]
[TestCategory("Cases")]
[TestCategory("Adapters")]
public sealed class AdapterAttacks
{
    private static readonly MLContext s_context = new();

    private static readonly double[] s_rates = [1e10, 1e20, 1e30, 1e38];

    public static IEnumerable<object[]> Rates =>
        from method in Enum.GetValues<FineTuningMethod>()
        from rate in s_rates
        select new object[] { method, rate };

    /// <summary>Of a file of version 0.1, which has no checksum: what it says of itself must agree.</summary>
    [TestMethod]
    public void AttackAnAdapterWithoutAProjectionIsRefused()
    {
        using var temporary = new TemporaryFolder();
        using SorsaTransformer model = s_context.Sorsa().LoadModel(WriteBase(temporary));

        var refused = Assert.ThrowsExactly<InvalidDataException>(
            () => model.LoadAdapter("it", TestData.Attack("adapter-without-a-projection")));

        Assert.Contains("missing: model.layers.0.mlp.down_proj, which target_modules names, has no tensor", refused.Message);
        Assert.DoesNotContain("another base", refused.Message);
    }

    [TestMethod]
    public void AttackAnAdapterWithNaNIsCorrupt()
    {
        using var temporary = new TemporaryFolder();
        using SorsaTransformer model = s_context.Sorsa().LoadModel(WriteBase(temporary));

        var refused = Assert.ThrowsExactly<InvalidDataException>(
            () => model.LoadAdapter("it", TestData.Attack("own-adapter-nan-wrong-remedy")));

        Assert.Contains("is corrupt: values are not finite in model.layers.0.self_attn.o_proj", refused.Message);
        Assert.DoesNotContain("LearningRate", refused.Message);
    }

    /// <summary>Any value of adapter.json that means something, changed to another one that could stand there.</summary>
    [TestMethod]
    [DataRow("scale", "0.5")]
    [DataRow("scale", "1.0000000000000002")]
    [DataRow("rank", "5")]
    [DataRow("method", "\"rslora\"")]
    [DataRow("quantized", "true")]
    [DataRow("target_modules", "[\"q_proj\"]")]
    [DataRow("target_modules", "[\"down_proj\", \"q_proj\", \"v_proj\"]")]
    [DataRow("base_fingerprint", "\"beef\"")]
    [DataRow("version", "1")]
    [DataRow("checksum", "\"00000000000000000000000000000000\"")]
    public void AttackAnEditedConfigurationIsNoticed(string key, string value)
    {
        using var temporary = new TemporaryFolder();
        string file = WriteAdapter(temporary), path = Path.Combine(file, "adapter.json");
        JsonNode config = JsonNode.Parse(File.ReadAllText(path))!;
        config[key] = JsonNode.Parse(value);
        File.WriteAllText(path, config.ToJsonString());
        using SorsaTransformer model = AdaptersFileTests.Base();

        Assert.Contains(
            "are not as they were written", Assert.ThrowsExactly<InvalidDataException>(() => model.LoadAdapter("it", file)).Message);
    }

    [TestMethod]
    public void AttackAChecksumThatWasTakenAwayIsMissed()
    {
        using var temporary = new TemporaryFolder();
        string file = WriteAdapter(temporary), path = Path.Combine(file, "adapter.json");
        JsonNode config = JsonNode.Parse(File.ReadAllText(path))!;
        config.AsObject().Remove("checksum");
        File.WriteAllText(path, config.ToJsonString());
        using SorsaTransformer model = AdaptersFileTests.Base();

        Assert.Contains(
            "'checksum' is missing", Assert.ThrowsExactly<InvalidDataException>(() => model.LoadAdapter("it", file)).Message);
    }

    /// <summary>Every bit counts: some of the header's, and of all through the data.</summary>
    [TestMethod]
    public void AttackABitThatFlippedIsNoticed()
    {
        using var temporary = new TemporaryFolder();
        string file = WriteAdapter(temporary), path = Path.Combine(file, "adapter.safetensors");
        byte[] whole = File.ReadAllBytes(path);
        using SorsaTransformer model = AdaptersFileTests.Base();
        for (int at = 3; at < whole.Length; at += whole.Length / 23)
        {
            byte[] altered = [.. whole];
            altered[at] ^= 1;
            File.WriteAllBytes(path, altered);
            Assert.ThrowsExactly<InvalidDataException>(() => model.LoadAdapter("it", file), $"byte {at}");
        }

        File.WriteAllBytes(path, whole[..^4]);
        Assert.ThrowsExactly<InvalidDataException>(() => model.LoadAdapter("it", file));
        File.WriteAllBytes(path, whole);
        model.LoadAdapter("it", file);
    }

    /// <summary>What two adapters of the same shapes hold cannot be mixed.</summary>
    [TestMethod]
    public void AttackTensorsOfAnotherAdapterAreNoticed()
    {
        using var temporary = new TemporaryFolder();
        string file = WriteAdapter(temporary), other = temporary.File("other");
        using SorsaTransformer trained = AdaptersFileTests.Train(FineTuningMethod.Lora, options => options.Seed = 7),
            model = AdaptersFileTests.Base();
        trained.SaveAdapter(other);
        File.Copy(Path.Combine(other, "adapter.safetensors"), Path.Combine(file, "adapter.safetensors"), overwrite: true);

        Assert.Contains(
            "belongs to another adapter", Assert.ThrowsExactly<InvalidDataException>(() => model.LoadAdapter("it", file)).Message);
    }

    /// <summary>Whatever the method, a training that diverged says so, and leaves no dead model.</summary>
    [TestMethod]
    [DynamicData(nameof(Rates))]
    public void AttackATrainingThatDivergedSaysSo(FineTuningMethod method, double rate)
    {
        ArithmeticException diverged;
        try
        {
            using SorsaTransformer trained = AdaptersFileTests.Train(method, options =>
            {
                options.LearningRate = rate;
                options.MaxSteps = 4;
                options.Rank = !options.HasEffect(nameof(options.Rank)) ? null : options.Rank;
                options.TargetModules = !options.HasEffect(nameof(options.TargetModules))
                    ? new SorsaFineTuningTrainer.Options().TargetModules : options.TargetModules;
            });

            // Whole matrices at the lowest rate: libtorch's attention comes to what is no number within these steps, ours does not. Then
            // the model must compute numbers.
            Assert.AreEqual((FineTuningMethod.Partial, s_rates[0]), (method, rate), trained.MergeReport!.ToString());
            int[] logits = TinyTask.LogitBits((CausalLM)trained.Model.Network!);
            Assert.IsTrue(logits.All(bits => float.IsFinite(BitConverter.Int32BitsToSingle(bits))), trained.MergeReport!.ToString());
            return;
        }
        catch (ArithmeticException thrown)
        {
            diverged = thrown;
        }

        Assert.AreEqual(typeof(ArithmeticException), diverged.GetType());
        Assert.Contains("Training diverged", diverged.Message);
        Assert.Contains("LearningRate", diverged.Message, StringComparison.OrdinalIgnoreCase);
    }

    private static string WriteAdapter(TemporaryFolder temporary)
    {
        string file = temporary.File("it");
        using SorsaTransformer trained = AdaptersFileTests.Train(FineTuningMethod.Lora);
        trained.SaveAdapter(file);
        return file;
    }

    /// <summary>The base that the attack's adapters belong to.</summary>
    private static string WriteBase(TemporaryFolder temporary)
    {
        string folder = Directory.CreateDirectory(temporary.File("base")).FullName;
        foreach (string file in Directory.GetFiles(TestData.Attack("config-invalid-utf8")))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        string config = File.ReadAllText(TestData.Attack("config-layers", "config.json"));
        File.WriteAllText(Path.Combine(folder, "config.json"), config.Replace("1000000", "1", StringComparison.Ordinal));
        return folder;
    }
}
