using Microsoft.ML.Sorsa.Models;
using static Microsoft.ML.Sorsa.Tests.Models.ConfigText;

namespace Microsoft.ML.Sorsa.Tests.Models.Families;

[TestClass]
[TestCategory("Models")]
public sealed class MistralTests
{
    private static readonly string s_mistral = With("model_type", "\"mistral\"", Minimal);

    /// <summary>transformers' MistralConfig: 4096 unless the file says otherwise, and null says that there is none.</summary>
    [TestMethod]
    [DataRow("absent", 4096)]
    [DataRow("null", null)]
    [DataRow("5", 5)]
    public void EveryLayerHasTheWindow(string window, int? expected)
    {
        DecoderSpec spec = Parse(window == "absent" ? s_mistral : With("sliding_window", window, s_mistral)).Spec;

        Assert.IsTrue(Enumerable.Range(0, spec.LayerCount).All(layer => spec.Layer(layer).SlidingWindow == expected));
    }

    [TestMethod]
    public void AWindowThatMakesNoSenseIsRefused() => Assert.Contains(
        "'sliding_window' must be a whole number above 0; it is 0",
        Assert.ThrowsExactly<InvalidDataException>(() => Parse(With("sliding_window", "0", s_mistral))).Message);

    [TestMethod]
    public void ThereIsNoBiasWhateverTheFileSays()
    {
        DecoderSpec spec = Parse(With("attention_bias", "true", With("mlp_bias", "true", s_mistral))).Spec;

        Assert.IsFalse(spec.Attention.InputBias || spec.Attention.OutputBias || spec.FeedForward.Bias);
    }
}
