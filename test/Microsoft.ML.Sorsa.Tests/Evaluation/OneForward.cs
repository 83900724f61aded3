using Microsoft.ML.Sorsa.Models;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>The slow way to the same numbers: a text alone, all of its scores at once, a log-softmax in float64.</summary>
internal static class OneForward
{
    /// <summary>ln p of each token behind those before it; of the first one, which nothing stands before, 0.</summary>
    public static double[] LogProbabilities(CausalLM model, IReadOnlyList<int> ids)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor input = tensor(ids.Select(id => (long)id).ToArray(), [1, ids.Count]).OnDevice();
        Tensor scores = model.Logits(model.Forward(model.Embed(input)))[0].to(ScalarType.Float64).log_softmax(-1).cpu();
        return [0, .. Enumerable.Range(1, ids.Count - 1).Select(at => scores[at - 1, ids[at]].item<double>())];
    }
}
