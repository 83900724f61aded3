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

    /// <summary>Queries of one head of keys lie on the stack.</summary>
    private const long MostQueryValues = 16 << 10;

    /// <summary>Whether these are such rows.</summary>
    public static bool Fits(Tensor query, Tensor key, Tensor value, Tensor? mask) =>
        FewRows.AreOfFewTexts(query) && query.is_contiguous()
        && key.dtype == query.dtype && value.dtype == query.dtype && key.stride(3) == 1 && value.stride(3) == 1
        && (mask is null || mask.dtype == ScalarType.Bool) && query.size(1) / key.size(1) * query.size(3) <= MostQueryValues;

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
        long[] shape = TensorData.Shape(query), keys = TensorData.Shape(key);
        (long heads, int count, int width) = (keys[1], (int)keys[2], (int)keys[3]);
        int queries = (int)(shape[1] / heads);
        Tensor attended = empty(shape, query.dtype);
        using Tensor? seen = mask?.contiguous();
        long maskStride = mask is null || mask.size(0) == 1 ? 0 : count;
        nint q = TensorData.Address(query), to = TensorData.Address(attended), m = seen is null ? 0 : TensorData.Address(seen);
        Heads k = Heads.Of(key), v = Heads.Of(value);
        long all = shape[0] * heads, part = Math.Max(PartValues / Math.Max(2L * count * width, 1), 1);
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
            long at = number * queries * width * TValues.Size;
            new HeadAttention<TValues>(width, queries, count, k.Next * TValues.Size, v.Next * TValues.Size).Compute(
                (byte*)q + at,
                (byte*)k.Address + (k.At(row, head) * TValues.Size),
                (byte*)v.Address + (v.At(row, head) * TValues.Size),
                m == 0 ? null : (bool*)m + (row * maskStride),
                (byte*)to + at);
        }
    }

    /// <summary>Where heads [B, heads, S, d] lie, in values.</summary>
    private readonly record struct Heads(nint Address, long OfRow, long OfHead, long Next)
    {
        public static Heads Of(Tensor heads) => new(TensorData.Address(heads), heads.stride(0), heads.stride(1), heads.stride(2));

        public long At(long row, long head) => (row * OfRow) + (head * OfHead);
    }
}
