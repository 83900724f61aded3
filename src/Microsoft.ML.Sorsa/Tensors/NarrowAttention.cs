using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// Attention of bfloat16 on a CPU, softmax(Q Kᵀ / √d) V with its gradients, as products with the weights between them. libtorch's own keeps
/// no weights, and computes backward without the processor's bfloat16 products: it takes twice as long up to a few hundred tokens
/// (docs/types.md). As many heads of queries in turn use one of keys, which stand below each other as queries of one head: nothing is
/// repeated.
/// </summary>
internal sealed class NarrowAttention : GradientFunction<NarrowAttention>
{
    /// <summary>Keys up to which it is used: the weights grow with their square.</summary>
    private const int MostKeys = 512;

    /// <summary>
    /// Whether it is worth it, without gradients as with them, since a block that is computed again must come out the same; and whether
    /// these are what it reads.
    /// </summary>
    public static bool Fits(Tensor query, Tensor key, Tensor value, Tensor? mask)
    {
        long batch = query.size(0), queries = query.size(2), keys = key.size(2);
        return IsNarrow(query) && IsNarrow(key) && IsNarrow(value) && keys <= MostKeys
            && query.size(1) % key.size(1) == 0 && (mask is null ? queries == keys : IsOfThem(mask));

        static bool IsNarrow(Tensor heads) => heads.device_type == DeviceType.CPU && heads.dtype == ScalarType.BFloat16;

        bool IsOfThem(Tensor mask) => mask.dtype == ScalarType.Bool && mask.device_type == DeviceType.CPU && mask.dim() == 4
            && (mask.size(0) == 1 || mask.size(0) == batch)
            && mask.size(1) == 1 && mask.size(2) == queries && mask.size(3) == keys;
    }

    /// <summary>The weights of a head in a row of so many tokens, which backward needs; 0 where it is not used.</summary>
    public static long Weights(long tokens, ScalarType type, bool onCpu) =>
        onCpu && type == ScalarType.BFloat16 && tokens <= MostKeys ? tokens * tokens : 0;

    /// <summary>[B, heads, T, d], with a gradient where gradients are on. It belongs to the dispose scope that is open.</summary>
    /// <param name="query">Q [B, heads, T, d].</param>
    /// <param name="key">K [B, key-value heads, S, d].</param>
    /// <param name="value">V, of K's shape.</param>
    /// <param name="mask">Which keys a query may see, bool [B or 1, 1, T, S]; null: those that are not behind it, where T = S.</param>
    public static Tensor Apply(Tensor query, Tensor key, Tensor value, Tensor? mask)
    {
        using var scope = NewDisposeScope();
        var seen = new Seen(mask?.contiguous());
        return scope.MoveToOuter(is_grad_enabled() && (query.requires_grad || key.requires_grad || value.requires_grad)
            ? Record(query, key, value, seen)
            : Attend(query, Stacked(query, key), Stacked(key, key), Stacked(value, key), seen).Output);
    }

    protected override Tensor Forward(AutogradContext ctx, object[] vars)
    {
        (Tensor query, Tensor key, Tensor value, var seen) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (Seen)vars[3]);
        (Tensor q, Tensor k, Tensor v) = (Stacked(query, key), Stacked(key, key), Stacked(value, key));
        (Tensor output, Tensor weights) = Attend(query, q, k, v, seen);
        ctx.save_for_backward([q, k, v, weights]);
        ctx.save_data(nameof(Seen.Causally), seen.Causally);
        ctx.save_data(nameof(AskedGradients), AskedGradients.Of(query, key, value));
        return output;
    }

    protected override List<Tensor?> Gradients(AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor q, Tensor k, Tensor v, Tensor weights) = (saved[0], saved[1], saved[2], saved[3]);
        long batch = gradient.size(0), heads = gradient.size(1), tokens = gradient.size(2), width = gradient.size(3);
        Tensor dy = gradient.reshape(q.shape);
        var asked = (AskedGradients)ctx.get_data(nameof(AskedGradients));
        Tensor? dq = null, dk = null, dv = null;
        if (asked.Value)
        {
            dv = weights.view(q.size(0), q.size(1), -1).transpose(1, 2).bmm(dy).view(batch, -1, k.size(1), width);
        }

        if (asked.Query || asked.Key)
        {
            Tensor scores = dy.bmm(v.transpose(1, 2));
            AttentionWeights.Differentiate(scores.view_as(weights), weights, (bool)ctx.get_data(nameof(Seen.Causally)), Scale(width));
            dq = asked.Query ? scores.bmm(k).view(batch, heads, tokens, width) : null;
            dk = asked.Key ? scores.transpose(1, 2).bmm(q).view(batch, -1, k.size(1), width) : null;
        }

        return [dq, dk, dv, null];
    }

    /// <summary>[B · key-value heads, ..., d].</summary>
    private static Tensor Stacked(Tensor heads, Tensor key) => heads.reshape(key.size(0) * key.size(1), -1, key.size(3));

    private static (Tensor Output, Tensor Weights) Attend(Tensor query, Tensor q, Tensor k, Tensor v, Seen seen)
    {
        Tensor p = q.bmm(k.transpose(1, 2)), weights = p.view(query.size(0), query.size(1), query.size(2), k.size(1));
        AttentionWeights.Weigh(weights, seen.Mask, Scale(query.size(3)));
        return (p.bmm(v).view(query.shape), weights);
    }

    private static float Scale(long width) => (float)(1 / Math.Sqrt(width));

    private sealed record Seen(Tensor? Mask)
    {
        public bool Causally => Mask is null;
    }
}
