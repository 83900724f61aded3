using Microsoft.ML.Sorsa.Models;
using static Microsoft.ML.Sorsa.Tests.Models.ConfigText;

namespace Microsoft.ML.Sorsa.Tests.Models.Families;

/// <summary>Llama's keys, which most families share.</summary>
[TestClass]
[TestCategory("Models")]
public sealed class LlamaTests
{
    public static IEnumerable<object[]> Unsupported =>
    [
        ["hidden_act", "\"gelu\"", "'hidden_act' = \"gelu\" is not supported"],
        ["rope_scaling", "{\"rope_type\": \"longrope\", \"factor\": 2}", "'longrope'"],
        ["rope_scaling", "{\"type\": \"su\", \"factor\": 2}", "'su'"],
        ["rope_scaling", "{\"rope_type\": \"linear\", \"factor\": 2, \"twist\": 1}", "'twist'"],
        ["rope_scaling", "{\"rope_type\": \"yarn\", \"factor\": 2, \"truncate\": false}", "'truncate'"],
        ["rope_parameters", "{\"rope_type\": \"default\", \"partial_rotary_factor\": 0.5}", "partial_rotary_factor' = 0.5 is not"],
    ];

    public static IEnumerable<object[]> Senseless =>
    [
        ["head_dim", "7", "head_dim 7 is odd"],
        ["hidden_size", "30", "head_dim 5 is odd"],
        ["num_key_value_heads", "4", "num_attention_heads 6 is not a multiple of num_key_value_heads 4"],
        ["model_type", "null", "model_type' is missing"],
        ["model_type", "7", "'model_type' must be a string; it is 7"],
        ["vocab_size", "null", "vocab_size' is missing"],
        ["vocab_size", "0", "'vocab_size' must be a whole number above 0; it is 0"],
        ["vocab_size", "-5", "'vocab_size' must be a whole number above 0; it is -5"],
        ["vocab_size", "96.5", "it is 96.5"],
        ["vocab_size", "\"96\"", "it is \"96\""],
        ["vocab_size", "4294967296", "it is 4294967296"],
        ["num_hidden_layers", "[3]", "it is [3]"],
        ["rms_norm_eps", "\"1e-5\"", "'rms_norm_eps' must be a number above 0; it is \"1e-5\""],
        ["rms_norm_eps", "1e999", "it is 1e999"],
        ["rope_theta", "-1", "'rope_theta' must be a number above 0; it is -1"],
        ["attention_bias", "1", "'attention_bias' must be true or false; it is 1"],
        ["tie_word_embeddings", "\"yes\"", "it is \"yes\""],
        ["rope_scaling", "7", "'rope_scaling' must be an object; it is 7"],
        ["rope_scaling", "{\"rope_type\": \"linear\"}", "factor' is missing"],
        ["rope_scaling", "{\"rope_type\": \"linear\", \"factor\": 0}", "'rope_scaling.factor' must be a number above 0; it is 0"],
        ["rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 2, \"low_freq_factor\": 1, \"high_freq_factor\": 4}",
            "original_max_position_embeddings' is missing"],
    ];

    [TestMethod]
    public void WhatIsNotSaidHasTransformersDefaults()
    {
        DecoderSpec spec = Parse(Minimal).Spec;

        Assert.AreEqual(
            new AttentionSpec(HeadCount: 6, KeyValueHeadCount: 6, HeadDim: 8, InputBias: false, OutputBias: false), spec.Attention);
        Assert.AreEqual(new FeedForwardSpec(56, Activation.Silu, Bias: false), spec.FeedForward);
        Assert.AreEqual(new NormSpec(1e-6), spec.Norm);
        Assert.AreEqual(2048, spec.MaxPositions);
        Assert.AreEqual((RopeType.Default, 10000.0), (spec.Rope.Type, spec.Rope.Theta));
        CollectionAssert.AreEqual(new[] { new LayerSpec(SlidingWindow: null) }, spec.LayerPattern.ToArray());
        Assert.IsFalse(spec.TieWordEmbeddings);
    }

    [TestMethod]
    [DataRow("head_dim", "16", 16)]
    [DataRow("num_key_value_heads", "2", 2)]
    [DataRow("max_position_embeddings", "77", 77)]
    [DataRow("rms_norm_eps", "0.5", 0.5)]
    [DataRow("tie_word_embeddings", "true", true)]
    [DataRow("attention_bias", "true", true)]
    [DataRow("mlp_bias", "true", true)]
    public void EveryKeyIsRead(string key, string value, object expected)
    {
        DecoderSpec spec = Parse(With(key, value, Minimal)).Spec;

        Assert.AreEqual(expected, key switch
        {
            "head_dim" => spec.Attention.HeadDim,
            "num_key_value_heads" => spec.Attention.KeyValueHeadCount,
            "max_position_embeddings" => spec.MaxPositions,
            "rms_norm_eps" => spec.Norm.Epsilon,
            "tie_word_embeddings" => spec.TieWordEmbeddings,
            "attention_bias" => spec.Attention.InputBias && spec.Attention.OutputBias,
            _ => (object)spec.FeedForward.Bias,
        });
    }

    /// <summary>transformers' LlamaConfig has no such key.</summary>
    [TestMethod]
    public void LlamaKnowsNoWindow() =>
        Assert.IsNull(Parse(With("sliding_window", "5", Minimal)).Spec.Layer(0).SlidingWindow);

    [TestMethod]
    public void ClassicAndNewKeysSayTheSame()
    {
        string[] classic =
        [
            With("rope_scaling", """{"type": "linear", "factor": 2.5}""", With("rope_theta", "5e5", Minimal)),
            With("rope_scaling", """{"rope_type": "linear", "factor": 2.5}""", With("rope_theta", "500000", Minimal)),
        ];
        RopeConfig expected = Parse(With(
            "rope_parameters", """{"rope_type": "linear", "factor": 2.5, "rope_theta": 500000.0}""", Minimal)).Spec.Rope;

        Assert.AreEqual(
            (RopeType.Linear, 500000.0, 2.5, 8, 2048),
            (expected.Type, expected.Theta, expected.Factor, expected.HeadDim, expected.MaxPositions));
        foreach (string json in classic)
        {
            Assert.AreEqual(expected, Parse(json).Spec.Rope);
        }
    }

    /// <summary>What transformers passes over when it makes the embedding.</summary>
    [TestMethod]
    [DataRow("""{"rope_type": "default", "factor": 8.0, "rope_theta": 10000}""", """{"rope_type": "default", "rope_theta": 10000}""")]
    [DataRow("""{"rope_type": "default", "partial_rotary_factor": 1.0, "anything": "else"}""", """{"rope_type": "default"}""")]
    [DataRow("""{"factor": 8.0, "original_max_position_embeddings": 32}""", """{"type": "default"}""")]
    [DataRow("""{"type": "yarn", "factor": 4, "finetuned": true}""", """{"type": "yarn", "factor": 4}""")]
    [DataRow("""{"type": "yarn", "factor": 4, "partial_rotary_factor": 1, "low_freq_factor": 1}""", """{"type": "yarn", "factor": 4}""")]
    [DataRow("""{"type": "linear", "factor": 4, "attention_factor": 2, "beta_fast": 7, "original_max_position_embeddings": 32}""",
        """{"type": "linear", "factor": 4}""")]
    public void WhatARotaryEmbeddingDoesNotReadChangesNothing(string more, string less) => Assert.AreEqual(
        Parse(With("rope_scaling", less, Minimal)).Spec.Rope, Parse(With("rope_scaling", more, Minimal)).Spec.Rope);

    /// <summary>What transformers does read, or may.</summary>
    [TestMethod]
    [DataRow("""{"type": "yarn", "factor": 4, "mscale": 0.7}""", "mscale")]
    [DataRow("""{"type": "yarn", "factor": 4, "mscale_all_dim": 1}""", "mscale_all_dim")]
    [DataRow("""{"type": "dynamic", "factor": 4, "original_max_position_embeddings": 32}""", "original_max_position_embeddings")]
    [DataRow("""{"type": "yarn", "factor": 4, "partial_rotary_factor": 0.5}""", "partial_rotary_factor")]
    [DataRow("""{"full_attention": {"rope_theta": 1000}}""", "full_attention")]
    public void WhatARotaryEmbeddingReadsElsewhereIsRefused(string json, string key) => Assert.Contains(
        key, Assert.ThrowsExactly<NotSupportedException>(() => Parse(With("rope_scaling", json, Minimal))).Message);

    [TestMethod]
    public void APartOfAHeadIsNotTurned()
    {
        Assert.AreEqual(8, Parse(With("partial_rotary_factor", "1.0", Minimal)).Spec.Rope.HeadDim);
        Assert.Contains("'partial_rotary_factor' = 0.25", Assert.ThrowsExactly<NotSupportedException>(
            () => Parse(With("partial_rotary_factor", "0.25", Minimal))).Message);
    }

    [TestMethod]
    public void EveryRopeSettingIsRead()
    {
        RopeConfig llama3 = Parse(With("rope_scaling", """
            {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1.5, "high_freq_factor": 4, "original_max_position_embeddings": 32}
            """, Minimal)).Spec.Rope;
        RopeConfig yarn = Parse(With("rope_scaling", """
            {"rope_type": "yarn", "factor": 4, "beta_fast": 30, "beta_slow": 2, "attention_factor": 1.25,
             "original_max_position_embeddings": 64}
            """, Minimal)).Spec.Rope;
        RopeConfig plain = Parse(With("rope_scaling", """{"type": "yarn", "factor": 4}""", Minimal)).Spec.Rope;

        Assert.AreEqual(
            (8.0, 1.5, 4.0, 32), (llama3.Factor, llama3.LowFrequencyFactor, llama3.HighFrequencyFactor, llama3.OriginalMaxPositions));
        Assert.AreEqual(
            (4.0, 30.0, 2.0, 1.25, 64),
            (yarn.Factor, yarn.BetaFast, yarn.BetaSlow, yarn.AttentionFactor!.Value, yarn.OriginalMaxPositions));
        Assert.AreEqual((32.0, 1.0, null, 2048), (plain.BetaFast, plain.BetaSlow, plain.AttentionFactor, plain.OriginalMaxPositions));
    }

    [TestMethod]
    [DynamicData(nameof(Unsupported))]
    public void WhatIsNotImplementedIsRefused(string key, string value, string message) => Assert.Contains(
        message, Assert.ThrowsExactly<NotSupportedException>(() => Parse(With(key, value, Minimal))).Message);

    [TestMethod]
    [DynamicData(nameof(Senseless))]
    public void WhatMakesNoSenseIsRefused(string key, string value, string message)
    {
        var error = Assert.ThrowsExactly<InvalidDataException>(() => Parse(With(key, value, Minimal)));

        Assert.Contains("config.json", error.Message);
        Assert.Contains(message, error.Message);
    }
}
