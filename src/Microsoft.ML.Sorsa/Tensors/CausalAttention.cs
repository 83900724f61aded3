using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// Attention of float32 on a CPU over whole texts, where no query sees what lies behind it, with its gradients. libtorch's own computes
/// the future too, up to some hundreds of tokens, and wants shared keys repeated (docs/decisions/own-kernels.md).
/// </summary>
internal sealed class CausalAttention : GradientFunction<CausalAttention>
{
    /// <summary>Whether heads of so many values are computed here, where no mask says what a query sees.</summary>
    public static bool IsFor(ScalarType type, bool onCpu, long width) =>
        Fma.IsSupported && onCpu && type == ScalarType.Float32 && width % ProductTiles.Columns == 0;

    /// <summary>Whether these are.</summary>
    public static bool Fits(Tensor query, Tensor key, Tensor value, Tensor? mask)
    {
        return mask is null && IsRead(query) && IsRead(key) && IsRead(value) && query.numel() > 0 && key.numel() > 0
            && query.size(1) % key.size(1) == 0 && value.size(1) == key.size(1) && AreAlike(query, key) && AreAlike(query, value);

        static bool IsRead(Tensor heads) => heads.dim() == 4
            && IsFor(heads.dtype, heads.device_type == DeviceType.CPU, heads.size(3)) && heads.stride(3) == 1;

        static bool AreAlike(Tensor one, Tensor other) =>
            one.size(0) == other.size(0) && one.size(2) == other.size(2) && one.size(3) == other.size(3);
    }

    /// <summary>[B, heads, T, d], with a gradient where gradients are on. It belongs to the dispose scope that is open.</summary>
    /// <param name="query">Q [B, heads, T, d].</param>
    /// <param name="key">K [B, key-value heads, T, d]; as many heads of queries in turn use one of it.</param>
    /// <param name="value">V, of K's shape.</param>
    public static Tensor Apply(Tensor query, Tensor key, Tensor value)
    {
        if (!Fits(query, key, value, mask: null))
        {
            throw new ArgumentException(
                $"[{string.Join(", ", query.shape)}] of {query.dtype} on {query.device}, [{string.Join(", ", key.shape)}] and "
                + $"[{string.Join(", ", value.shape)}] are no queries, keys and values of this attention.", nameof(query));
        }

        return is_grad_enabled() && (query.requires_grad || key.requires_grad || value.requires_grad)
            ? Record(query, key, value)
            : Attend(query, key, value);
    }

    protected override Tensor Forward(AutogradContext ctx, object[] vars)
    {
        (Tensor query, Tensor key, Tensor value) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2]);
        ctx.save_for_backward([query, key, value]);
        ctx.save_data(nameof(AskedGradients), AskedGradients.Of(query, key, value));
        return Attend(query, key, value);
    }

    protected override List<Tensor?> Gradients(AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor query, Tensor key, Tensor value) = (saved[0], saved[1], saved[2]);
        var asked = (AskedGradients)ctx.get_data(nameof(AskedGradients));
        (long batch, long heads, long tokens, long width) = (query.size(0), query.size(1), query.size(2), query.size(3));

        // They lie as they are read next: by heads for the rotary turn, by tokens for the projection that gave the values.
        Tensor? dq = asked.Query ? empty([batch, heads, tokens, width], query.dtype) : null;
        Tensor? dk = asked.Key ? empty([batch, heads, tokens, width], query.dtype) : null;
        Tensor? dv = asked.Value ? empty([batch, tokens, heads, width], query.dtype) : null;
        Differentiate(
            query, key, value, gradient.stride(3) == 1 ? gradient : gradient.contiguous(), (dq, dk, dv?.transpose(1, 2)));

        // Heads that share keys add what they give them.
        long shared = key.size(1);
        return
        [
            dq,
            shared == heads ? dk : dk?.view(batch, shared, heads / shared, tokens, width).sum(dim: 2),
            (shared == heads ? dv : dv?.view(batch, tokens, shared, heads / shared, width).sum(dim: 3))?.transpose(1, 2),
        ];
    }

    private static unsafe Tensor Attend(Tensor query, Tensor key, Tensor value)
    {
        // Heads lie beside each other for a token, as the projection behind reads them.
        using Tensor byToken = empty([query.size(0), query.size(2), query.size(1), query.size(3)], query.dtype);
        Tensor output = byToken.transpose(1, 2);
        (Heads q, Heads k, Heads v, Heads to) = (new Heads(query), new Heads(key), new Heads(value), new Heads(output));
        var head = new CausalHead((int)q.Tokens, (int)q.Width);
        int blocks = head.Blocks, parts = (int)q.Count * blocks, threads = Math.Min(get_num_threads(), parts);
        using Tensor packed = Pack(head, k), scratch = empty([threads, head.ScratchValues], query.dtype);
        float* keys = (float*)TensorData.Address(packed), own = (float*)TensorData.Address(scratch);
        ParallelParts.Run(
            parts,
            (part, thread) =>
            {
                (int at, int block) = Math.DivRem(part, blocks);
                long of = q.KeysOf(at, k);
                head.Attend(
                    block, q.Of(at), keys + (of * head.PackedValues), v.Of(of), own + (thread * head.ScratchValues), to.Of(at));
            },
            threads);
        GC.KeepAlive(query);
        GC.KeepAlive(key);
        GC.KeepAlive(value);
        return output;
    }

    private static unsafe void Differentiate(
        Tensor query, Tensor key, Tensor value, Tensor gradient, (Tensor? Query, Tensor? Key, Tensor? Value) gradients)
    {
        (Heads q, Heads k, Heads v, Heads dy) = (new Heads(query), new Heads(key), new Heads(value), new Heads(gradient));
        Heads? dq = Of(gradients.Query), dk = Of(gradients.Key), dv = Of(gradients.Value);
        var head = new CausalHead((int)q.Tokens, (int)q.Width);
        int threads = (int)Math.Min(get_num_threads(), q.Count);
        using Tensor packedKeys = Pack(head, k), packedValues = Pack(head, v);
        using Tensor scratch = empty([threads, head.ScratchValues], query.dtype);
        float* keys = (float*)TensorData.Address(packedKeys), values = (float*)TensorData.Address(packedValues);
        float* own = (float*)TensorData.Address(scratch);
        ParallelParts.Run(
            (int)q.Count,
            (at, thread) =>
            {
                long of = q.KeysOf(at, k);
                head.Differentiate(
                    q.Of(at), k.Of(of), keys + (of * head.PackedValues), values + (of * head.PackedValues), dy.Of(at),
                    own + (thread * head.ScratchValues), (dq?.Of(at) ?? default, dk?.Of(at) ?? default, dv?.Of(at) ?? default));
            },
            threads);
        GC.KeepAlive(query);
        GC.KeepAlive(key);
        GC.KeepAlive(value);
        GC.KeepAlive(gradient);

        static Heads? Of(Tensor? tensor) => tensor is null ? null : new Heads(tensor);
    }

    /// <summary>The rows of all heads, packed; the caller's.</summary>
    private static unsafe Tensor Pack(CausalHead head, Heads rows)
    {
        Tensor packed = empty([rows.Count, head.PackedValues], ScalarType.Float32);
        float* to = (float*)TensorData.Address(packed);
        ParallelParts.Run((int)rows.Count, at => head.Pack(rows.Of(at), to + (at * head.PackedValues)));
        return packed;
    }

    /// <summary>The heads of a tensor [B, heads, T, d], one after the other.</summary>
    private readonly struct Heads(Tensor tensor)
    {
        private readonly nint _at = TensorData.Address(tensor);
        private readonly long _heads = tensor.size(1), _text = tensor.stride(0), _head = tensor.stride(1), _token = tensor.stride(2);

        public long Count { get; } = tensor.size(0) * tensor.size(1);

        public long Tokens { get; } = tensor.size(2);

        public long Width { get; } = tensor.size(3);

        public HeadRows Of(long number)
        {
            (long text, long head) = Math.DivRem(number, _heads);
            return new HeadRows(_at + (nint)(((text * _text) + (head * _head)) * sizeof(float)), _token);
        }

        /// <summary>The number of the head of keys that one of these queries' uses.</summary>
        public long KeysOf(long number, Heads keys) => number / (_heads / keys._heads);
    }
}
