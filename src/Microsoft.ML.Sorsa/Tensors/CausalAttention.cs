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
    public static bool Takes(ScalarType type, bool onCpu, long width) =>
        Fma.IsSupported && onCpu && type == ScalarType.Float32 && width % ProductTiles.Columns == 0;

    /// <summary>Whether these are.</summary>
    public static bool Fits(Tensor query, Tensor key, Tensor value, Tensor? mask)
    {
        return mask is null && IsRead(query) && IsRead(key) && IsRead(value)
            && query.size(2) == key.size(2) && query.size(1) % key.size(1) == 0;

        static bool IsRead(Tensor heads) =>
            Takes(heads.dtype, heads.device_type == DeviceType.CPU, heads.size(3)) && heads.stride(3) == 1;
    }

    /// <summary>[B, heads, T, d], with a gradient where gradients are on. It belongs to the dispose scope that is open.</summary>
    /// <param name="query">Q [B, heads, T, d].</param>
    /// <param name="key">K [B, key-value heads, T, d]; as many heads of queries in turn use one of it.</param>
    /// <param name="value">V, of K's shape.</param>
    public static Tensor Apply(Tensor query, Tensor key, Tensor value) =>
        is_grad_enabled() && (query.requires_grad || key.requires_grad || value.requires_grad)
            ? Record(query, key, value)
            : Attend(query, key, value);

    protected override Tensor Forward(AutogradContext ctx, object[] vars)
    {
        (Tensor query, Tensor key, Tensor value) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2]);
        ctx.save_for_backward([query, key, value]);
        return Attend(query, key, value);
    }

    protected override List<Tensor?> Gradients(AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor query, Tensor key, Tensor value) = (saved[0], saved[1], saved[2]);
        Tensor dy = gradient.stride(3) == 1 ? gradient : gradient.contiguous();
        long[] shape = TensorData.Shape(query);
        Tensor dq = empty(shape, query.dtype), dk = empty(shape, query.dtype), dv = empty(shape, query.dtype);
        Differentiate(new Heads(query), new Heads(key), new Heads(value), new Heads(dy), (new Heads(dq), new Heads(dk), new Heads(dv)));
        return [dq, Shared(dk, key), Shared(dv, key)];
    }

    private static unsafe Tensor Attend(Tensor query, Tensor key, Tensor value)
    {
        // Heads lie beside each other for a token, as the projection behind reads them.
        Tensor output = empty([query.size(0), query.size(2), query.size(1), query.size(3)], query.dtype).transpose(1, 2);
        (Heads q, Heads k, Heads v, Heads to) = (new Heads(query), new Heads(key), new Heads(value), new Heads(output));
        var head = new CausalHead((int)q.Tokens, (int)q.Width);
        using Tensor turned = Turn(head, k);
        float* keys = (float*)TensorData.Address(turned);
        ParallelParts.Run((int)q.Count, at => head.Attend(
            q.Of(at), keys + (q.Shared(at, k) * head.TurnedValues), v.Of(q.Shared(at, v)), to.Of(at)));
        GC.KeepAlive(query);
        GC.KeepAlive(value);
        return output;
    }

    private static unsafe void Differentiate(Heads q, Heads k, Heads v, Heads gradient, (Heads Query, Heads Key, Heads Value) to)
    {
        var head = new CausalHead((int)q.Tokens, (int)q.Width);
        using Tensor turnedKeys = Turn(head, k), turnedValues = Turn(head, v);
        float* keys = (float*)TensorData.Address(turnedKeys), values = (float*)TensorData.Address(turnedValues);
        ParallelParts.Run((int)q.Count, at =>
        {
            long shared = q.Shared(at, k);
            head.Differentiate(
                q.Of(at), k.Of(shared), keys + (shared * head.TurnedValues), values + (shared * head.TurnedValues), gradient.Of(at),
                (to.Query.Of(at), to.Key.Of(at), to.Value.Of(at)));
        });
    }

    /// <summary>All heads' rows, turned; the caller's.</summary>
    private static unsafe Tensor Turn(CausalHead head, Heads rows)
    {
        Tensor turned = empty([rows.Count * head.TurnedValues], ScalarType.Float32);
        float* to = (float*)TensorData.Address(turned);
        ParallelParts.Run((int)rows.Count, at => head.Turn(rows.Of(at), to + (at * head.TurnedValues)));
        return turned;
    }

    /// <summary>Of the heads of queries that share one of keys, the sum.</summary>
    private static Tensor Shared(Tensor gradients, Tensor key) => gradients.size(1) == key.size(1)
        ? gradients
        : gradients.view(key.size(0), key.size(1), -1, key.size(2), key.size(3)).sum(dim: 2);

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

        /// <summary>The head of keys that one of these queries' uses.</summary>
        public long Shared(long number, Heads keys) => number / (_heads / keys._heads);
    }
}
