using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>
/// A model of bfloat16 that is given float32 computes in float32 with its weights as they are: a comparison with another one sees that
/// one's roundings alone.
/// </summary>
[TestClass]
[TestCategory("Models")]
[TestCategory("Mixed")]
public sealed class WiderInputTests
{
    [TestMethod]
    [DataRow(false, 20)]
    [DataRow(true, 20)]
    [DataRow(true, 1)]
    public void ItIsTheModelOfTheSameWeightsInFloat32(bool bias, int tokens)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using CausalLM narrow = TinyModel.Create(ScalarType.BFloat16, bias, tied: bias);
        using CausalLM wide = TinyModel.Create(ScalarType.Float32, bias, tied: bias, stored: ScalarType.BFloat16);
        Tensor ids = arange(tokens, ScalarType.Int64, narrow.Device).unsqueeze(0);

        Tensor logits = narrow.Logits(narrow.Forward(narrow.Embed(ids).to(ScalarType.Float32)));
        Tensor expected = wide.Logits(wide.Forward(wide.Embed(ids)));

        Assert.AreEqual(ScalarType.Float32, logits.dtype);
        Assert.IsLessThanOrEqualTo(1e-5, ((logits - expected).norm() / expected.norm()).item<float>());
    }
}
