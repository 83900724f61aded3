using System.Numerics;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// Some queries over the keys and values of one head: softmax(q Kᵀ / √d) V. As many keys at a time as the processor's first cache holds
/// meet every query; the sums so far are scaled where a larger score comes (Milakov and Gimelshein, arXiv 1805.02867).
/// </summary>
/// <param name="width">d.</param>
/// <param name="queries">How many queries.</param>
/// <param name="count">S, how many keys.</param>
/// <param name="nextKey">Bytes from one key to the next.</param>
/// <param name="nextValue">The same of values.</param>
internal readonly unsafe struct HeadAttention<TValues>(int width, int queries, int count, long nextKey, long nextValue)
    where TValues : IStoredValues
{
    /// <summary>Keys that are taken at a time: a multiple of every processor's vectors.</summary>
    private const int Block = 32;

    /// <param name="query">[queries, d].</param>
    /// <param name="keys">Where they begin.</param>
    /// <param name="values">Where they begin.</param>
    /// <param name="seen">[S]; null: all are seen.</param>
    /// <param name="to">[queries, d].</param>
    public void Compute(byte* query, byte* keys, byte* values, bool* seen, byte* to)
    {
        float* q = stackalloc float[queries * width], sums = stackalloc float[queries * width];
        float* largest = stackalloc float[queries], totals = stackalloc float[queries], scores = stackalloc float[Block];
        byte** key = stackalloc byte*[Block], value = stackalloc byte*[Block];
        TensorData.Read<TValues>(query, new Span<float>(q, queries * width));
        new Span<float>(sums, queries * width).Clear();
        new Span<float>(totals, queries).Clear();
        new Span<float>(largest, queries).Fill(float.NegativeInfinity);
        for (int at = 0; at < count;)
        {
            int found = 0;
            for (; at < count && found < Block; at++)
            {
                if (seen == null || seen[at])
                {
                    key[found] = keys + (at * nextKey);
                    value[found++] = values + (at * nextValue);
                }
            }

            for (int i = 0; i < queries; i++)
            {
                float* sum = sums + (i * width);
                Score(q + (i * width), key, found, scores);
                float before = largest[i], most = Math.Max(before, Largest(scores));
                if (most > before)
                {
                    float factor = MathF.Exp(before - most);
                    totals[i] *= factor;
                    Scale(sum, factor);
                    largest[i] = most;
                }

                totals[i] += Weigh(scores, largest[i]);
                Add(scores, value, found, sum);
            }
        }

        for (int i = 0; i < queries; i++)
        {
            Scale(sums + (i * width), 1 / totals[i]);
        }

        TensorData.Write<TValues>(new ReadOnlySpan<float>(sums, queries * width), to);
    }

    /// <summary>q · k / √d; what stands behind the keys that were found is nothing.</summary>
    private void Score(float* q, byte** key, int found, float* scores)
    {
        float scale = 1 / MathF.Sqrt(width);
        for (int i = 0; i < found; i++)
        {
            scores[i] = Dot(q, key[i]) * scale;
        }

        new Span<float>(scores + found, Block - found).Fill(float.NegativeInfinity);
    }

    private static float Largest(float* scores)
    {
        float largest = scores[0];
        for (int i = 1; i < Block; i++)
        {
            largest = Math.Max(largest, scores[i]);
        }

        return largest;
    }

    /// <summary>e^(score − largest) in place of each, and their sum.</summary>
    private static float Weigh(float* scores, float largest)
    {
        Vector<float> sum = default;
        for (int i = 0; i < Block; i += Vector<float>.Count)
        {
            Vector<float> weights = Exponential.Of(Vector.Load(scores + i) - new Vector<float>(largest));
            weights.Store(scores + i);
            sum += weights;
        }

        return Vector.Sum(sum);
    }

    private void Scale(float* values, float factor)
    {
        for (int i = 0; i < width; i++)
        {
            values[i] *= factor;
        }
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

    /// <summary>Adds each weight · v.</summary>
    private void Add(float* weights, byte** value, int found, float* sum)
    {
        int i = 0;
        for (; i + (2 * Vector<float>.Count) <= width; i += 2 * Vector<float>.Count)
        {
            Vector<float> even = Vector.Load(sum + i), odd = Vector.Load(sum + i + Vector<float>.Count);
            for (int at = 0; at < found; at++)
            {
                (Vector<float> first, Vector<float> second) = TValues.Load(value[at] + (i * TValues.Size));
                var weight = new Vector<float>(weights[at]);
                even = Vector.MultiplyAddEstimate(first, weight, even);
                odd = Vector.MultiplyAddEstimate(second, weight, odd);
            }

            even.Store(sum + i);
            odd.Store(sum + i + Vector<float>.Count);
        }

        for (; i < width; i++)
        {
            for (int at = 0; at < found; at++)
            {
                sum[i] += weights[at] * TValues.Get(value[at] + (i * TValues.Size));
            }
        }
    }
}
