using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Tests.Models;

[TestClass]
public sealed class DecoderConfigTests
{
    private const string Llama = """
        {"model_type": "llama", "vocab_size": 96, "hidden_size": 48, "intermediate_size": 56, "num_hidden_layers": 3, "num_attention_heads": 6}
        """;

    public static IEnumerable<object[]> Unsupported =>
    [
        ["model_type", "\"qwen2\"", "'qwen2'"],
        ["model_type", "\"Llama\"", "llama and mistral"],
        ["hidden_act", "\"gelu\"", "'gelu'"],
        ["quantization_config", "{\"bits\": 4}", "quantization_config"],
        ["rope_scaling", "{\"rope_type\": \"longrope\", \"factor\": 2}", "'longrope'"],
        ["rope_scaling", "{\"type\": \"su\", \"factor\": 2}", "'su'"],
        ["rope_scaling", "{\"rope_type\": \"linear\", \"factor\": 2, \"twist\": 1}", "'twist'"],
        ["rope_scaling", "{\"rope_type\": \"yarn\", \"factor\": 2, \"truncate\": false}", "'truncate'"],
        ["rope_parameters", "{\"rope_type\": \"default\", \"rope_theta\": 5000, \"partial_rotary_factor\": 0.5}", "'partial_rotary_factor'"],
    ];

    public static IEnumerable<object[]> Senseless =>
    [
        ["head_dim", "7", "head_dim 7 is odd"],
        ["hidden_size", "30", "head_dim 5 is odd"],
        ["num_key_value_heads", "4", "num_attention_heads 6 is not a multiple of num_key_value_heads 4"],
        ["model_type", "null", "model_type is missing"],
        ["model_type", "7", "model_type is 7 and must be a text"],
        ["vocab_size", "null", "vocab_size is missing"],
        ["vocab_size", "0", "vocab_size is 0 and must be a whole number above 0"],
        ["vocab_size", "-5", "vocab_size is -5"],
        ["eos_token_id", "96", "eos_token_id 96 is not below vocab_size 96"],
        ["vocab_size", "96.5", "vocab_size is 96.5"],
        ["vocab_size", "\"96\"", "vocab_size is \"96\""],
        ["vocab_size", "4294967296", "vocab_size is 4294967296"],
        ["num_hidden_layers", "[3]", "num_hidden_layers is [3]"],
        ["rms_norm_eps", "\"1e-5\"", "rms_norm_eps is \"1e-5\" and must be a number above 0"],
        ["rms_norm_eps", "1e999", "rms_norm_eps is 1e999"],
        ["rope_theta", "-1", "rope_theta is -1"],
        ["attention_bias", "1", "attention_bias is 1 and must be true or false"],
        ["tie_word_embeddings", "\"yes\"", "tie_word_embeddings is \"yes\""],
        ["eos_token_id", "\"2\"", "eos_token_id is \"2\" and must be a whole number or a list of them"],
        ["eos_token_id", "[2, 3.5]", "eos_token_id is [2, 3.5]"],
        ["rope_scaling", "7", "rope_scaling is 7 and must be an object"],
        ["rope_scaling", "{\"rope_type\": \"linear\"}", "factor is missing"],
        ["rope_scaling", "{\"rope_type\": \"linear\", \"factor\": 0}", "factor is 0"],
        ["rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 2, \"low_freq_factor\": 1, \"high_freq_factor\": 4}", "original_max_position_embeddings is missing"],
    ];

    [TestMethod]
    public void WhatIsNotSaidHasTransformersDefaults()
    {
        DecoderConfig config = Parse(Llama);

        Assert.AreEqual(6, config.KeyValueHeadCount);
        Assert.AreEqual(8, config.HeadDim);
        Assert.AreEqual(2048, config.MaxPositions);
        Assert.AreEqual(1e-6, config.RmsNormEpsilon);
        Assert.AreEqual(("default", 10000.0), (config.Rope.Type, config.Rope.Theta));
        Assert.IsNull(config.SlidingWindow);
        Assert.IsFalse(config.AttentionBias || config.MlpBias || config.TieWordEmbeddings);
        Assert.IsEmpty(config.EosTokenIds);
    }

    [TestMethod]
    public void ClassicAndNewKeysSayTheSame()
    {
        string[] classic =
        [
            With("rope_scaling", """{"type": "linear", "factor": 2.5}""", With("rope_theta", "5e5", Llama)),
            With("rope_scaling", """{"rope_type": "linear", "factor": 2.5}""", With("rope_theta", "500000", Llama)),
        ];
        RopeConfig expected = Parse(With("rope_parameters", """{"rope_type": "linear", "factor": 2.5, "rope_theta": 500000.0}""", Llama)).Rope;

        Assert.AreEqual(("linear", 500000.0, 2.5, 8, 2048), (expected.Type, expected.Theta, expected.Factor, expected.HeadDim, expected.MaxPositions));
        foreach (string json in classic)
        {
            Assert.AreEqual(expected, Parse(json).Rope);
        }
    }

    [TestMethod]
    public void EveryRopeSettingIsRead()
    {
        RopeConfig llama3 = Parse(With("rope_scaling", """
            {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1.5, "high_freq_factor": 4, "original_max_position_embeddings": 32}
            """, Llama)).Rope;
        RopeConfig yarn = Parse(With("rope_scaling", """
            {"rope_type": "yarn", "factor": 4, "beta_fast": 30, "beta_slow": 2, "attention_factor": 1.25, "original_max_position_embeddings": 64}
            """, Llama)).Rope;

        Assert.AreEqual((8.0, 1.5, 4.0, 32), (llama3.Factor, llama3.LowFrequencyFactor, llama3.HighFrequencyFactor, llama3.OriginalMaxPositions));
        Assert.AreEqual((4.0, 30.0, 2.0, 1.25, 64), (yarn.Factor, yarn.BetaFast, yarn.BetaSlow, yarn.AttentionFactor!.Value, yarn.OriginalMaxPositions));
        Assert.AreEqual((32.0, 1.0, null, 2048), Parse(With("rope_scaling", """{"type": "yarn", "factor": 4}""", Llama)).Rope is var plain
            ? (plain.BetaFast, plain.BetaSlow, plain.AttentionFactor, plain.OriginalMaxPositions) : default);
    }

    [TestMethod]
    [DataRow("2", "2")]
    [DataRow("[81, 88, 95]", "81 88 95")]
    [DataRow("[]", "")]
    [DataRow("null", "")]
    public void EosIsOneOrAList(string json, string expected) =>
        Assert.AreEqual(expected, string.Join(' ', Parse(With("eos_token_id", json, Llama)).EosTokenIds));

    /// <summary>transformers' MistralConfig: 4096 unless the file says otherwise, and null says that there is none; Llama knows no window.</summary>
    [TestMethod]
    [DataRow("mistral", "absent", 4096)]
    [DataRow("mistral", "null", null)]
    [DataRow("mistral", "5", 5)]
    [DataRow("llama", "5", null)]
    [DataRow("llama", "absent", null)]
    public void TheSlidingWindowIsMistrals(string type, string window, int? expected)
    {
        string json = With("model_type", $"\"{type}\"", Llama);

        Assert.AreEqual(expected, Parse(window == "absent" ? json : With("sliding_window", window, json)).SlidingWindow);
    }

    [TestMethod]
    public void MistralHasNoBiasWhateverItsConfigSays()
    {
        DecoderConfig config = Parse(With("attention_bias", "true", With("mlp_bias", "true", With("model_type", "\"mistral\"", Llama))));

        Assert.IsFalse(config.AttentionBias || config.MlpBias);
    }

    [TestMethod]
    [DynamicData(nameof(Unsupported))]
    public void WhatIsNotImplementedIsRefused(string key, string value, string message) =>
        Assert.Contains(message, Assert.ThrowsExactly<NotSupportedException>(() => Parse(With(key, value, Llama))).Message);

    [TestMethod]
    [DynamicData(nameof(Senseless))]
    public void WhatMakesNoSenseIsRefused(string key, string value, string message)
    {
        var error = Assert.ThrowsExactly<InvalidDataException>(() => Parse(With(key, value, Llama)));

        Assert.Contains("config.json", error.Message);
        Assert.Contains(message, error.Message);
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("{")]
    [DataRow("[]")]
    [DataRow("null")]
    public void WhatIsNoObjectIsRefused(string json) =>
        Assert.Contains("config.json", Assert.ThrowsExactly<InvalidDataException>(() => Parse(json)).Message);

    [TestMethod]
    public void AMissingFolderOrFileIsNamed()
    {
        using var folder = new TemporaryFolder();

        Assert.Contains("config.json", Assert.ThrowsExactly<FileNotFoundException>(() => DecoderConfig.Load(folder.Path)).Message);
        Assert.Contains(folder.File("none"), Assert.ThrowsExactly<DirectoryNotFoundException>(() => DecoderConfig.Load(folder.File("none"))).Message);
    }

    [TestMethod]
    [DataRow("dtype", torch.ScalarType.BFloat16, "bfloat16")]
    [DataRow("torch_dtype", torch.ScalarType.Float16, "float16")]
    [DataRow("torch_dtype", torch.ScalarType.Float32, "float32")]
    public void WhatIsSavedIsWhatWasReadButForTheType(string key, torch.ScalarType type, string name)
    {
        string json = With("unknown_to_us", """{"a": [1, 2.50, "ñ"]}""", With(key, "\"something\"", Llama));

        JsonNode saved = JsonNode.Parse(Parse(json).JsonFor(type))!;

        JsonNode expected = JsonNode.Parse(json)!;
        expected[key] = name;
        Assert.IsTrue(JsonNode.DeepEquals(expected, saved));
    }

    private static DecoderConfig Parse(string json) => DecoderConfig.Parse(Encoding.UTF8.GetBytes(json), "config.json");

    /// <summary>The object with a key set to a JSON text; a text, since numbers must stay as they are written.</summary>
    private static string With(string key, string value, string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        var properties = document.RootElement.EnumerateObject().Where(property => property.Name != key)
            .Select(property => $"{JsonSerializer.Serialize(property.Name)}: {property.Value.GetRawText()}");
        return $"{{{string.Join(", ", properties.Append($"\"{key}\": {value}"))}}}";
    }
}
