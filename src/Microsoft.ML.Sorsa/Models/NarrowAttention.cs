using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>
/// Attention of bfloat16 on a CPU as two products and a softmax between them. libtorch's own keeps no scores, and computes backward without
/// the processor's bfloat16 products: it takes twice as long up to a few hundred tokens (docs/types.md), and is the faster one beyond.
/// </summary>
internal static class NarrowAttention
{
    /// <summary>Keys up to which it is used: the scores grow with their square.</summary>
    private const int MostKeys = 512;

    /// <summary>Whether it is the faster one, forward and backward: a block that is computed again must come out the same.</summary>
    public static bool Fits(Tensor query, Tensor key) =>
        query.device_type == DeviceType.CPU && query.dtype == ScalarType.BFloat16 && key.shape[2] <= MostKeys;

    /// <summary>The weights of a head in a row of so many tokens, which backward needs; 0 where it is not used.</summary>
    public static long Weights(long tokens, ScalarType type, bool onCpu) =>
        onCpu && type == ScalarType.BFloat16 && tokens <= MostKeys ? tokens * tokens : 0;

    /// <param name="query">[B, heads, T, d].</param>
    /// <param name="key">[B, heads, S, d].</param>
    /// <param name="value">[B, heads, S, d].</param>
    /// <param name="mask">Which keys a query may see, bool [B or 1, 1, T, S]; null: those that are not behind it, where T = S.</param>
    public static Tensor Compute(Tensor query, Tensor key, Tensor value, Tensor? mask)
    {
        long queries = query.shape[2];
        Tensor visible = mask ?? ones(queries, queries, ScalarType.Bool).tril();

        // 0 where it may be seen, else −∞.
        Tensor hidden = visible.to(query.dtype).log();
        Tensor scores = query.Times(1 / Math.Sqrt(query.shape[3])).matmul(key.transpose(2, 3)).Accumulate(hidden);
        return scores.softmax(-1).matmul(value);
    }
}
