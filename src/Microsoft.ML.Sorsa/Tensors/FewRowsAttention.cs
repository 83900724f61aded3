using System.Buffers;
using System.Numerics;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// Attention of the few rows of a decoding step, softmax(q Kᵀ / √d) V with one query a head. Keys that a row may not see are left out, so
/// that it comes to the same however long the others are.
/// </summary>
internal static unsafe class FewRowsAttention
{
    /// <summary>What a thread takes at a time of keys and values: some microseconds.</summary>
    private const long PartValues = 128 << 10;

    /// <summary>Whether these are such rows.</summary>
    public static bool Fits(Tensor query, Tensor key) =>
        query.dtype == key.dtype && FewRows.AreOfFewTexts(query) && query.is_contiguous();

    /// <summary>[B, heads, 1, d]; it belongs to the dispose scope that is open.</summary>
    /// <param name="query">q [B, heads, 1, d].</param>
    /// <param name="key">K [B, key-value heads, S, d]; as many heads of queries in turn use one of it. The last place without gaps.</param>
    /// <param name="value">V, of K's shape.</param>
    /// <param name="mask">Which keys are seen, bool [B or 1, 1, 1, S]; null: all.</param>
    public static Tensor Compute(Tensor query, Tensor key, Tensor value, Tensor? mask) => query.dtype == ScalarType.Float32
        ? Compute<Float32Values>(query, key, value, mask)
        : Compute<BFloat16Values>(query, key, value, mask);

    private static Tensor Compute<TValues>(Tensor query, Tensor key, Tensor value, Tensor? mask)
        where TValues : IStoredValues
    {
        long[] shape = FewRows.Shape(query), keys = FewRows.Shape(key);
        (long rows, long heads, int width) = (shape[0], shape[1], (int)shape[3]);
        Tensor attended = empty(shape, query.dtype);
        using Tensor? seen = mask?.contiguous();
        long maskStride = mask is null || mask.size(0) == 1 ? 0 : keys[2];
        nint q = FewRows.Address(query), to = FewRows.Address(attended), m = seen is null ? 0 : FewRows.Address(seen);
        Heads k = Heads.Of(key), v = Heads.Of(value);
        long all = rows * heads, part = Math.Max(PartValues / (2 * keys[2] * width), 1);
        ParallelParts.Run((int)((all + part - 1) / part), number =>
        {
            for (long head = number * part; head < Math.Min((number + 1) * part, all); head++)
            {
                Attend(head);
            }
        });
        GC.KeepAlive(query);
        GC.KeepAlive(key);
        GC.KeepAlive(value);
        return attended;

        void Attend(long number)
        {
            (long row, long head) = Math.DivRem(number, heads);
            long group = head / (heads / keys[1]), at = number * width * TValues.Size;
            new Head<TValues>(width, (int)keys[2], k.Next * TValues.Size, v.Next * TValues.Size).Attend(
                (byte*)q + at,
                (byte*)k.Address + (k.At(row, group) * TValues.Size),
                (byte*)v.Address + (v.At(row, group) * TValues.Size),
                m == 0 ? null : (bool*)m + (row * maskStride),
                (byte*)to + at);
        }
    }

    /// <summary>Where heads [B, heads, S, d] lie, in values.</summary>
    private readonly record struct Heads(nint Address, long OfRow, long OfHead, long Next)
    {
        public static Heads Of(Tensor heads) => new(FewRows.Address(heads), heads.stride(0), heads.stride(1), heads.stride(2));

        public long At(long row, long head) => (row * OfRow) + (head * OfHead);
    }

    /// <summary>One head of one row.</summary>
    /// <param name="width">d.</param>
    /// <param name="count">S.</param>
    /// <param name="nextKey">Bytes from one key to the next.</param>
    /// <param name="nextValue">The same of values.</param>
    private readonly struct Head<TValues>(int width, int count, long nextKey, long nextValue)
        where TValues : IStoredValues
    {
        public void Attend(byte* query, byte* keys, byte* values, bool* seen, byte* to)
        {
            float[] rented = ArrayPool<float>.Shared.Rent((2 * width) + count + Vector<float>.Count);
            fixed (float* q = rented)
            {
                float* sum = q + width, weights = sum + width;
                FewRows.Read<TValues>(query, new Span<float>(q, width));
                int visible = 0;
                float scale = 1 / MathF.Sqrt(width);
                for (int at = 0; at < count; at++)
                {
                    if (seen == null || seen[at])
                    {
                        weights[visible++] = Dot(q, keys + (at * nextKey)) * scale;
                    }
                }

                float total = Softmax(weights, visible);
                new Span<float>(sum, width).Clear();
                for (int at = 0; at < count; at++)
                {
                    if (seen == null || seen[at])
                    {
                        Add(*weights++, values + (at * nextValue), sum);
                    }
                }

                for (int i = 0; i < width; i++)
                {
                    sum[i] /= total;
                }

                FewRows.Write<TValues>(new ReadOnlySpan<float>(sum, width), to);
            }

            ArrayPool<float>.Shared.Return(rented);
        }

        /// <summary>e^(x − max), and their sum.</summary>
        private static float Softmax(float* scores, int count)
        {
            float largest = float.NegativeInfinity;
            for (int i = 0; i < count; i++)
            {
                largest = Math.Max(largest, scores[i]);
            }

            // The last vector may reach behind the scores: what stands there is nothing.
            new Span<float>(scores + count, Vector<float>.Count).Fill(float.NegativeInfinity);
            Vector<float> sum = default;
            for (int i = 0; i < count; i += Vector<float>.Count)
            {
                Vector<float> exponential = Vector.Exp(Vector.Load(scores + i) - new Vector<float>(largest));
                exponential.Store(scores + i);
                sum += exponential;
            }

            return Vector.Sum(sum);
        }

        private float Dot(float* q, byte* key)
        {
            Vector<float> even = default, odd = default;
            int i = 0;
            for (; i + (2 * Vector<float>.Count) <= width; i += 2 * Vector<float>.Count)
            {
                (Vector<float> first, Vector<float> second) = TValues.Load(key + (i * TValues.Size));
                even = Vector.MultiplyAddEstimate(first, Vector.Load(q + i), even);
                odd = Vector.MultiplyAddEstimate(second, Vector.Load(q + i + Vector<float>.Count), odd);
            }

            float sum = Vector.Sum(even + odd);
            for (; i < width; i++)
            {
                sum += TValues.Get(key + (i * TValues.Size)) * q[i];
            }

            return sum;
        }

        /// <summary>sum + weight · v.</summary>
        private void Add(float weight, byte* value, float* sum)
        {
            var weights = new Vector<float>(weight);
            int i = 0;
            for (; i + (2 * Vector<float>.Count) <= width; i += 2 * Vector<float>.Count)
            {
                (Vector<float> first, Vector<float> second) = TValues.Load(value + (i * TValues.Size));
                Vector.MultiplyAddEstimate(first, weights, Vector.Load(sum + i)).Store(sum + i);
                float* next = sum + i + Vector<float>.Count;
                Vector.MultiplyAddEstimate(second, weights, Vector.Load(next)).Store(next);
            }

            for (; i < width; i++)
            {
                sum[i] += weight * TValues.Get(value + (i * TValues.Size));
            }
        }
    }
}
