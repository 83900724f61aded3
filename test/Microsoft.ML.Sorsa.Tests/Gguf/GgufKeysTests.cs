using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Gguf;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Models.Families;

namespace Microsoft.ML.Sorsa.Tests.Gguf;

/// <summary>The keys that say what a model computes.</summary>
[TestClass]
[TestCategory("Gguf")]
public sealed class GgufKeysTests
{
    [TestMethod]
    public void SizesAreKeys()
    {
        using SorsaTransformer model = GgufModels.Bundled();
        Dictionary<string, object> keys = GgufModels.Write(model, GgufType.F32).Keys;

        Assert.AreEqual("llama", keys["general.architecture"]);
        Assert.AreEqual("model", keys["general.type"]);
        Assert.AreEqual("model", keys["general.name"]);
        (string, uint)[] expected =
        [
            ("vocab_size", 1024), ("context_length", 512), ("embedding_length", 128), ("block_count", 6), ("feed_forward_length", 352),
            ("attention.head_count", 4), ("attention.head_count_kv", 2), ("attention.key_length", 32), ("attention.value_length", 32),
            ("rope.dimension_count", 32),
        ];
        foreach ((string key, uint value) in expected)
        {
            Assert.AreEqual(value, keys[$"llama.{key}"], key);
        }

        Assert.AreEqual(1e-5f, keys["llama.attention.layer_norm_rms_epsilon"]);
        Assert.AreEqual(10000f, keys["llama.rope.freq_base"]);
        Assert.IsFalse(keys.ContainsKey("llama.rope.scaling.type"));
    }

    /// <summary>A head of another size than hidden / heads.</summary>
    [TestMethod]
    public void TheSizeOfAHeadIsAKey()
    {
        Dictionary<string, object> keys = Keys("mistral-headdim");

        Assert.AreEqual("llama", keys["general.architecture"]);
        Assert.AreEqual(20u, keys["llama.attention.key_length"]);
        Assert.AreEqual(20u, keys["llama.attention.value_length"]);
        Assert.AreEqual(20u, keys["llama.rope.dimension_count"]);
    }

    [TestMethod]
    public void LinearRopeIsKeys()
    {
        Dictionary<string, object> keys = Keys("llama-linear-rope");

        Assert.AreEqual("linear", keys["llama.rope.scaling.type"]);
        Assert.AreEqual(2f, keys["llama.rope.scaling.factor"]);
        Assert.IsFalse(keys.ContainsKey("llama.rope.scaling.original_context_length"));
    }

    [TestMethod]
    public void YarnIsKeys()
    {
        Dictionary<string, object> keys = Keys("llama-yarn-rope", config => config["rope_scaling"]!["attention_factor"] = 1.5);

        Assert.AreEqual("yarn", keys["llama.rope.scaling.type"]);
        Assert.AreEqual(4f, keys["llama.rope.scaling.factor"]);
        Assert.AreEqual(32u, keys["llama.rope.scaling.original_context_length"]);
        Assert.AreEqual(32f, keys["llama.rope.scaling.yarn_beta_fast"]);
        Assert.AreEqual(1f, keys["llama.rope.scaling.yarn_beta_slow"]);
        Assert.AreEqual(1.5 / ((0.1 * Math.Log(4)) + 1), (float)keys["llama.rope.scaling.attn_factor"], 1e-6);
    }

    [TestMethod]
    public void Llama3RopeIsATensor()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = GgufModels.Golden("llama3-rope", folder.Path);
        GgufContent file = GgufModels.Write(model, GgufType.Q8_0);
        RopeConfig rope = model.Model.Network.Spec.Rope;

        Assert.IsFalse(file.Keys.ContainsKey("llama.rope.scaling.type"));
        Assert.AreEqual(GgufContentTensor.F32, file.Tensors["rope_freqs.weight"].Type);
        float[] divisors = file.Values("rope_freqs.weight");
        Assert.HasCount(rope.HeadDim / 2, divisors);
        for (int i = 0; i < divisors.Length; i++)
        {
            // Llama 3.1's rule over wavelengths, as its authors write it.
            double frequency = Math.Pow(rope.Theta, -2.0 * i / rope.HeadDim), wave = 2 * Math.PI / frequency;
            double low = rope.LowFrequencyFactor, high = rope.HighFrequencyFactor, positions = rope.OriginalMaxPositions;
            double longest = positions / low, shortest = positions / high, smooth = ((positions / wave) - low) / (high - low);
            double divisor = wave < shortest ? 1 : wave > longest ? rope.Factor : 1 / (((1 - smooth) / rope.Factor) + smooth);
            Assert.AreEqual(divisor, divisors[i], 1e-5 * divisor, $"pair {i}");
        }

        Assert.HasCount(2, divisors.Where(divisor => divisor is 1 or 8).Distinct());
    }

    /// <summary>llama.cpp has no window for these layers: beyond it, it would compute another model.</summary>
    [TestMethod]
    public void AWindowLimitsThePositions()
    {
        Assert.AreEqual(8u, Keys("mistral-window")["llama.context_length"]);
        Assert.AreEqual(128u, Keys("mistral-window", config => config["sliding_window"] = null)["llama.context_length"]);
        Assert.AreEqual(128u, Keys("mistral-window", config => config["sliding_window"] = 4096)["llama.context_length"]);
    }

    /// <summary>A family that is new here must be given its name in llama.cpp.</summary>
    [TestMethod]
    public void EveryFamilyHasAnArchitecture()
    {
        foreach (string family in FamilyCatalog.ModelTypes)
        {
            JsonObject json = JsonNode.Parse(File.ReadAllText(Path.Combine(TestData.TinyLlama, "config.json")))!.AsObject();
            json["model_type"] = family;
            DecoderConfig config = DecoderConfig.Parse(System.Text.Encoding.UTF8.GetBytes(json.ToJsonString()), family);

            Assert.AreEqual("llama", GgufArchitecture.Of(config));
        }
    }

    private static Dictionary<string, object> Keys(string golden, Action<JsonObject>? change = null)
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = GgufModels.Golden(golden, folder.Path, change);
        return GgufModels.Write(model, GgufType.F32).Keys;
    }
}
