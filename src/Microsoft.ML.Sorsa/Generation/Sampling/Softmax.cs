using System.Numerics.Tensors;

namespace Microsoft.ML.Sorsa.Generation.Sampling;

/// <summary>p_i = exp(z_i) / Σ exp(z_j), in float64.</summary>
internal static class Softmax
{
    /// <param name="logits">At least one of them finite; −∞ gives 0.</param>
    public static double[] Of(ReadOnlySpan<float> logits)
    {
        var probabilities = new double[logits.Length];
        double highest = TensorPrimitives.Max(logits);
        for (int id = 0; id < logits.Length; id++)
        {
            probabilities[id] = Math.Exp(logits[id] - highest);
        }

        TensorPrimitives.Divide(probabilities, TensorPrimitives.Sum<double>(probabilities), probabilities);
        return probabilities;
    }
}
