using System.Numerics;
using System.Runtime.CompilerServices;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>What becomes of one query's scores s of the keys that it sees: softmax(s / √d), and the gradient of s.</summary>
internal static unsafe class AttentionRow
{
    /// <summary>Makes weights of scores, in their place. Scores may be large and their differences small.</summary>
    /// <param name="scores">−∞ where a key is not seen; a multiple of whole vectors.</param>
    /// <param name="scale">1 / √d.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Weigh(Span<float> scores, float scale)
    {
        var most = new Vector<float>(TensorPrimitives.Max(scores));
        Vector<float> sum = default;
        for (int i = 0; i < scores.Length; i += Vector<float>.Count)
        {
            Vector<float> weights = Exponential.Of((new Vector<float>(scores[i..]) - most) * scale);
            weights.CopyTo(scores[i..]);
            sum += weights;
        }

        TensorPrimitives.Multiply(scores, 1 / Vector.Sum(sum), scores);
    }

    /// <summary>Makes gradients of the scores of those of the weights, in their place: p ⊙ (∂L/∂p − Σ p ⊙ ∂L/∂p) / √d.</summary>
    /// <param name="gradients">∂L/∂p.</param>
    /// <param name="weights">p.</param>
    /// <param name="count">How many keys.</param>
    /// <param name="scale">1 / √d.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Differentiate<TValues>(byte* gradients, byte* weights, int count, float scale)
        where TValues : IStoredValues
    {
        var block = new ScoreBlock<TValues>(VectorBlocks.Sum<TValues>(gradients, null, weights, count), scale);
        VectorBlocks.Run<TValues, ScoreBlock<TValues>>(
            ref block, new BlockPlaces { A = gradients, B = weights, To = gradients }, count);
    }

    private readonly struct ScoreBlock<TValues>(float mean, float scale) : IVectorBlock
        where TValues : IStoredValues
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Compute(in BlockPlaces row, long at)
        {
            (Vector<float> gradient1, Vector<float> gradient2) = TValues.Load(row.A + at);
            (Vector<float> weight1, Vector<float> weight2) = TValues.Load(row.B + at);
            var before = new Vector<float>(mean);
            TValues.Store(row.To + at, (gradient1 - before) * weight1 * scale, (gradient2 - before) * weight2 * scale);
        }
    }
}
