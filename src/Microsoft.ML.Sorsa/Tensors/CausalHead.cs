using System.Buffers;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>Where one head's values lie, float32.</summary>
/// <param name="At">Those of the first token, d without gaps.</param>
/// <param name="Next">Values from one token's to the next one's.</param>
internal readonly unsafe record struct HeadRows(nint At, long Next)
{
    public float* Of(int token) => (float*)At + (token * Next);
}

/// <summary>
/// One head's attention of queries over the keys that are not behind them, softmax(Q Kᵀ / √d) V, with its gradients. Some queries at a time
/// meet the keys up to the last of them, tile by tile, so that hardly anything is computed that is not seen, and only these queries'
/// weights exist: backward computes them again.
/// </summary>
/// <param name="tokens">T.</param>
/// <param name="width">d, a multiple of 16.</param>
internal readonly unsafe struct CausalHead(int tokens, int width)
{
    /// <summary>Queries at a time: their weights stay in the second cache. A multiple of a tile's rows and columns.</summary>
    private const int Block = 64;

    /// <summary>Keys whose products with a query stand beside each other.</summary>
    private const int Panel = ProductTiles.Columns;

    private readonly float _scale = (float)(1 / Math.Sqrt(width));

    /// <summary>From one query's scores to the next one's: not a power of two, where they would share few places of a cache.</summary>
    private readonly int _next = Padded(tokens) + Panel;

    /// <summary>How many values <see cref="Turn"/> writes.</summary>
    public long TurnedValues => (long)Padded(tokens) * width;

    /// <summary>
    /// Keys or values as products with queries read them: of 16 tokens the first value, then the second, and so on; then the next tokens.
    /// Zeros stand behind the last.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Turn(HeadRows rows, float* turned)
    {
        for (int first = 0; first < tokens; first += Panel)
        {
            float* panel = turned + ((long)first * width);
            if (first + Panel > tokens)
            {
                new Span<float>(panel, Panel * width).Clear();
            }

            for (int token = first; token < Math.Min(first + Panel, tokens); token++)
            {
                float* from = rows.Of(token), to = panel + (token - first);
                for (int i = 0; i < width; i++)
                {
                    to[i * Panel] = from[i];
                }
            }
        }
    }

    /// <param name="query">Q.</param>
    /// <param name="turnedKeys">K, turned.</param>
    /// <param name="value">V.</param>
    /// <param name="output">What queries come to.</param>
    public void Attend(HeadRows query, float* turnedKeys, HeadRows value, HeadRows output)
    {
        float[] rented = ArrayPool<float>.Shared.Rent(Block * _next);
        fixed (float* weights = rented)
        {
            for (int first = 0; first < tokens; first += Block)
            {
                Weigh(query, turnedKeys, first, weights);
                Sum(weights, value, first, output);
            }
        }

        ArrayPool<float>.Shared.Return(rented);
    }

    /// <summary>The gradients of what <see cref="Attend"/> reads; those of keys and values begin anew.</summary>
    /// <param name="query">Q.</param>
    /// <param name="key">K.</param>
    /// <param name="turnedKeys">K, turned.</param>
    /// <param name="turnedValues">V, turned.</param>
    /// <param name="gradient">That of the output.</param>
    /// <param name="to">Where the gradients of Q, K and V go.</param>
    public void Differentiate(
        HeadRows query, HeadRows key, float* turnedKeys, float* turnedValues, HeadRows gradient,
        (HeadRows Query, HeadRows Key, HeadRows Value) to)
    {
        float[] rented = ArrayPool<float>.Shared.Rent(2 * Block * _next);
        fixed (float* weights = rented)
        {
            float* scores = weights + (Block * _next);
            for (int first = 0; first < tokens; first += Block)
            {
                Weigh(query, turnedKeys, first, weights);
                SumOverQueries(weights, gradient, first, to.Value);
                Score(gradient, turnedValues, first, scores);
                for (int row = first; row < End(first); row++)
                {
                    float* at = scores + ((row - first) * _next);
                    AttentionRow.Differentiate<Float32Values>((byte*)at, (byte*)(weights + ((row - first) * _next)), row + 1, _scale);
                    ClearUnseen(at, row + 1, End(first));
                }

                Sum(scores, key, first, to.Query);
                SumOverQueries(scores, query, first, to.Key);
            }
        }

        ArrayPool<float>.Shared.Return(rented);
    }

    private static int Padded(int count) => (count + Panel - 1) / Panel * Panel;

    private int End(int first) => Math.Min(first + Block, tokens);

    /// <summary>
    /// A block's weights: of each query softmax over the keys that it sees, and zeros up to the last key that one of them sees.
    /// </summary>
    private void Weigh(HeadRows query, float* turnedKeys, int first, float* weights)
    {
        Score(query, turnedKeys, first, weights);
        for (int row = first; row < End(first); row++)
        {
            float* at = weights + ((row - first) * _next);
            int count = row + 1, padded = Padded(count);
            new Span<float>(at + count, padded - count).Fill(float.NegativeInfinity);
            AttentionRow.Weigh(new Span<float>(at, padded), _scale);
            ClearUnseen(at, padded, End(first));
        }
    }

    private static void ClearUnseen(float* row, int count, int end) => new Span<float>(row + count, Math.Max(end - count, 0)).Clear();

    /// <summary>The products of a block's rows with those that were turned, but for what lies wholly behind a row.</summary>
    private void Score(HeadRows rows, float* turned, int first, float* scores)
    {
        for (int panel = 0; panel < End(first); panel += Panel)
        {
            int from = Math.Max(first, panel);
            float* columns = turned + ((long)panel * width), to = scores + ((from - first) * _next) + panel;
            new ProductTiles(rows.Of(from), rows.Next, 1, columns, Panel, to, _next, depth: width)
                .Compute(End(first) - from, Panel, adds: false);
        }
    }

    /// <summary>Σ over the keys that each query of a block sees, of its weight for one times that one's values.</summary>
    private void Sum(float* weights, HeadRows values, int first, HeadRows to)
    {
        for (int from = first; from < End(first); from += ProductTiles.Rows)
        {
            int end = Math.Min(from + ProductTiles.Rows, tokens);
            float* of = weights + ((from - first) * _next);
            new ProductTiles(of, _next, 1, values.Of(0), values.Next, to.Of(from), to.Next, depth: end)
                .Compute(end - from, width, adds: false);
        }
    }

    /// <summary>
    /// Adds to each key what the queries of a block give it: Σ of their weights for it times their values. No query saw the block's own
    /// keys before.
    /// </summary>
    private void SumOverQueries(float* weights, HeadRows values, int first, HeadRows to)
    {
        new ProductTiles(weights, 1, _next, values.Of(first), values.Next, to.Of(0), to.Next, depth: End(first) - first)
            .Compute(first, width, adds: true);
        for (int key = first; key < End(first); key += ProductTiles.Rows)
        {
            float* of = weights + ((key - first) * _next) + key;
            new ProductTiles(of, 1, _next, values.Of(key), values.Next, to.Of(key), to.Next, depth: End(first) - key)
                .Compute(Math.Min(ProductTiles.Rows, tokens - key), width, adds: false);
        }
    }
}
