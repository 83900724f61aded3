using System.Buffers;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// Attention's weights in bfloat16 and the gradient of their scores, a query at a time (<see cref="AttentionRow"/>): what it does not see
/// is not computed. It computes in float32.
/// </summary>
internal static unsafe class AttentionWeights
{
    /// <summary>Makes weights of scores, in their place.</summary>
    /// <param name="scores">[B, heads, T, S], bfloat16, without gaps.</param>
    /// <param name="mask">Which keys a query sees, bool [B or 1, 1, T, S], without gaps; null: those that are not behind it.</param>
    /// <param name="scale">1 / √d.</param>
    public static void Weigh(Tensor scores, Tensor? mask, float scale)
    {
        var rows = new Rows(scores, isCausal: mask is null);
        byte* values = (byte*)TensorData.Address(scores), of = mask is null ? null : (byte*)TensorData.Address(mask);
        long perText = scores.size(1) * scores.size(2), nextMask = mask is null || mask.size(0) == 1 ? 0 : scores.size(2) * rows.Keys;
        ParallelParts.OverRows(rows.Count, rows.Keys, (first, last) =>
        {
            float[] rented = ArrayPool<float>.Shared.Rent(rows.Keys + VectorBlocks.Step);
            for (long row = first; row < last; row++)
            {
                byte* at = values + (row * rows.Keys * BFloat16Values.Size);
                int count = rows.Visible(row);
                Span<float> weights = Padded(rented, at, count);
                if (of != null)
                {
                    Hide(weights[..count], of + (row / perText * nextMask) + (row % rows.Queries * rows.Keys));
                }

                AttentionRow.Weigh(weights, scale);
                TensorData.Write<BFloat16Values>(weights[..count], at);
                rows.ClearUnseen(at, count);
            }

            ArrayPool<float>.Shared.Return(rented);
        });
        GC.KeepAlive(scores);
        GC.KeepAlive(mask);
    }

    /// <summary>Makes gradients of the scores of those of the weights, in their place.</summary>
    /// <param name="gradients">∂L/∂p [B, heads, T, S], bfloat16, without gaps.</param>
    /// <param name="weights">p, of their shape.</param>
    /// <param name="isCausal">There was no mask.</param>
    /// <param name="scale">1 / √d.</param>
    public static void Differentiate(Tensor gradients, Tensor weights, bool isCausal, float scale)
    {
        var rows = new Rows(gradients, isCausal);
        byte* values = (byte*)TensorData.Address(gradients), of = (byte*)TensorData.Address(weights);
        ParallelParts.OverRows(rows.Count, rows.Keys, (first, last) =>
        {
            for (long row = first; row < last; row++)
            {
                long start = row * rows.Keys * BFloat16Values.Size;
                int count = rows.Visible(row);
                AttentionRow.Differentiate<BFloat16Values>(values + start, of + start, count, scale);
                rows.ClearUnseen(values + start, count);
            }
        });
        GC.KeepAlive(gradients);
        GC.KeepAlive(weights);
    }

    /// <summary>Scores of a query, and −∞ behind them up to whole vectors.</summary>
    private static Span<float> Padded(float[] place, byte* scores, int count)
    {
        int padded = (count + VectorBlocks.Step - 1) / VectorBlocks.Step * VectorBlocks.Step;
        TensorData.Read<BFloat16Values>(scores, place.AsSpan(0, count));
        place.AsSpan(count, padded - count).Fill(float.NegativeInfinity);
        return place.AsSpan(0, padded);
    }

    private static void Hide(Span<float> scores, byte* seen)
    {
        for (int key = 0; key < scores.Length; key++)
        {
            scores[key] = seen[key] != 0 ? scores[key] : float.NegativeInfinity;
        }
    }

    /// <summary>The queries of all heads.</summary>
    private readonly struct Rows(Tensor scores, bool isCausal)
    {
        public long Count { get; } = scores.size(0) * scores.size(1) * scores.size(2);

        public long Queries { get; } = scores.size(2);

        public int Keys { get; } = (int)scores.size(3);

        /// <summary>The keys, from the first on, of which a query may see any.</summary>
        public int Visible(long row) => isCausal ? (int)(row % Queries) + 1 : Keys;

        public void ClearUnseen(byte* row, int count) =>
            new Span<byte>(row + (count * BFloat16Values.Size), (Keys - count) * BFloat16Values.Size).Clear();
    }
}
