using System.Numerics.Tensors;

namespace Microsoft.ML.Sorsa.Generation.Sampling;

/// <summary>z / T. The highest score is put to 0 first, which changes no probability and keeps a tiny T from overflowing.</summary>
internal sealed record Temperature(double Value) : ILogitsRule
{
    public void Apply(Span<float> logits, IReadOnlySet<int> seen)
    {
        TensorPrimitives.Subtract(logits, TensorPrimitives.Max<float>(logits), logits);
        for (int id = 0; id < logits.Length; id++)
        {
            logits[id] = (float)(logits[id] / Value);
        }
    }
}
