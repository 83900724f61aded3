using System.Numerics;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>Where one head's values lie, float32.</summary>
/// <param name="At">Those of the first token, d without gaps; 0: nobody asks for them.</param>
/// <param name="Next">Values from one token's to the next one's.</param>
internal readonly unsafe record struct HeadRows(nint At, long Next)
{
    public bool AreAsked => At != 0;

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

    /// <summary>From one query's scores to the next one's.</summary>
    private readonly int _next = Distance(tokens);

    /// <summary>How often <see cref="Attend"/> is called.</summary>
    public int Blocks => (tokens + Block - 1) / Block;

    /// <summary>How many values <see cref="Pack"/> writes.</summary>
    public long PackedValues => (long)Padded(tokens) * width;

    /// <summary>How many values a thread needs for what it computes in between.</summary>
    public long ScratchValues => 2L * Block * _next;

    /// <summary>
    /// Keys or values as products with queries read them: of 16 tokens the first value, then the second, and so on; then the next tokens.
    /// Zeros stand behind the last.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Pack(HeadRows rows, float* packed)
    {
        for (int first = 0; first < tokens; first += Panel)
        {
            float* panel = packed + ((long)first * width);
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

    /// <summary>What the queries of a block come to.</summary>
    /// <param name="block">Its number.</param>
    /// <param name="query">Q.</param>
    /// <param name="packedKeys">K, packed.</param>
    /// <param name="value">V.</param>
    /// <param name="scratch">A thread's own.</param>
    /// <param name="output">Where it goes.</param>
    public void Attend(int block, HeadRows query, float* packedKeys, HeadRows value, float* scratch, HeadRows output)
    {
        Weigh(query, packedKeys, block * Block, scratch);
        Sum(scratch, value, block * Block, output);
    }

    /// <summary>The gradients that are asked for of what <see cref="Attend"/> reads.</summary>
    /// <param name="query">Q.</param>
    /// <param name="key">K.</param>
    /// <param name="packedKeys">K, packed.</param>
    /// <param name="packedValues">V, packed.</param>
    /// <param name="gradient">That of the output.</param>
    /// <param name="scratch">A thread's own.</param>
    /// <param name="to">Where the gradients of Q, K and V go.</param>
    public void Differentiate(
        HeadRows query, HeadRows key, float* packedKeys, float* packedValues, HeadRows gradient, float* scratch,
        (HeadRows Query, HeadRows Key, HeadRows Value) to)
    {
        float* weights = scratch, scores = scratch + ((long)Block * _next);
        for (int first = 0; first < tokens; first += Block)
        {
            Weigh(query, packedKeys, first, weights);
            if (to.Value.AreAsked)
            {
                SumOverQueries(weights, gradient, first, to.Value);
            }

            if (!to.Query.AreAsked && !to.Key.AreAsked)
            {
                continue;
            }

            Score(gradient, packedValues, first, scores);
            for (int row = first; row < End(first); row++)
            {
                long at = (long)(row - first) * _next;
                AttentionRow.Differentiate<Float32Values>((byte*)(scores + at), (byte*)(weights + at), row + 1, _scale);
                ClearUnseen(scores + at, row + 1, End(first));
            }

            if (to.Query.AreAsked)
            {
                Sum(scores, key, first, to.Query);
            }

            if (to.Key.AreAsked)
            {
                SumOverQueries(scores, query, first, to.Key);
            }
        }
    }

    private static int Padded(int count) => (count + Panel - 1) / Panel * Panel;

    /// <summary>Not a power of two, at which what lies below each other shares few places of a cache.</summary>
    private static int Distance(int count)
    {
        int distance = Padded(count) + Panel;
        return BitOperations.IsPow2(distance) ? distance + Panel : distance;
    }

    private int End(int first) => Math.Min(first + Block, tokens);

    /// <summary>
    /// A block's weights: of each query softmax over the keys that it sees, and zeros up to the last key that one of them sees.
    /// </summary>
    private void Weigh(HeadRows query, float* packedKeys, int first, float* weights)
    {
        Score(query, packedKeys, first, weights);
        for (int row = first; row < End(first); row++)
        {
            float* at = weights + ((long)(row - first) * _next);
            int count = row + 1, padded = Padded(count);
            new Span<float>(at + count, padded - count).Fill(float.NegativeInfinity);
            AttentionRow.Weigh(new Span<float>(at, padded), _scale);
            ClearUnseen(at, padded, End(first));
        }
    }

    private static void ClearUnseen(float* row, int count, int end) => new Span<float>(row + count, Math.Max(end - count, 0)).Clear();

    /// <summary>The products of a block's rows with those that were packed, but for what lies wholly behind a row.</summary>
    private void Score(HeadRows rows, float* packed, int first, float* scores)
    {
        for (int panel = 0; panel < End(first); panel += Panel)
        {
            int from = Math.Max(first, panel);
            float* columns = packed + ((long)panel * width), to = scores + ((long)(from - first) * _next) + panel;
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
            float* of = weights + ((long)(from - first) * _next);
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
            float* of = weights + ((long)(key - first) * _next) + key;
            new ProductTiles(of, 1, _next, values.Of(key), values.Next, to.Of(key), to.Next, depth: End(first) - key)
                .Compute(Math.Min(ProductTiles.Rows, tokens - key), width, adds: false);
        }
    }
}
