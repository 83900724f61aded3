using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// y = x Wᵀ + b where x or W does not have the type that they are multiplied in: W is converted some of its rows at a time, in forward and
/// again in backward, so that no copy of it stays. So it is where the processor does not multiply 16 bits (<see cref="ProductType"/>), and
/// where a model is compared with another one, in float32 beside weights that stay what they are.
/// <code>
/// dx = dY W           dW = dYᵀ x
/// </code>
/// </summary>
internal sealed class WideLinear : GradientFunction<WideLinear>
{
    /// <summary>Values of W that are converted at a time, or of y: 4 MB of float32, which a processor's cache holds.</summary>
    private const long PartValues = 1 << 20;

    /// <summary>Texts of a decoding step up to which libtorch's own x Wᵀ of 16 bits is bound by reading W, and needs no copy.</summary>
    private const int MostTextsOfLibtorchs = 8;

    /// <summary>Whether these are multiplied in another type than theirs.</summary>
    public static bool Fits(Tensor x, Tensor weight) =>
        weight.dtype != x.dtype || (ProductType.Of(x) != x.dtype && !IsDecodingStep(x));

    /// <summary>What is converted of W and y at a time, in values, of so many tokens.</summary>
    public static long Working(long outputs, long inputs, long tokens) =>
        Math.Min(outputs, PartRows(inputs, tokens)) * (inputs + tokens);

    /// <summary>y [..., out] in x's type, with a gradient where gradients are on. It belongs to the dispose scope that is open.</summary>
    /// <param name="x">[..., in].</param>
    /// <param name="weight">W [out, in].</param>
    /// <param name="bias">b [out], or null.</param>
    public static Tensor Apply(Tensor x, Tensor weight, Tensor? bias)
    {
        bool biasTrains = bias is { requires_grad: true };
        if (!is_grad_enabled() || !(x.requires_grad || weight.requires_grad || biasTrains))
        {
            return Compute(x, weight, bias);
        }

        // libtorch's own gradients keep the converted W. They can be differentiated again, which somebody's own training may want.
        return biasTrains || BackwardPass.Current is null ? InOnePart(x, weight, bias) : Record(x, weight, new Constants(bias));
    }

    protected override Tensor Forward(AutogradContext ctx, object[] vars)
    {
        (Tensor x, Tensor weight, var constants) = ((Tensor)vars[0], (Tensor)vars[1], (Constants)vars[2]);
        ctx.save_for_backward(weight.requires_grad ? [weight, x] : [weight]);
        ctx.save_data(nameof(x.requires_grad), x.requires_grad);
        return Compute(x, weight, constants.Bias);
    }

    protected override List<Tensor?> Gradients(AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        Tensor weight = saved[0], dy = gradient.reshape(-1, weight.size(0));

        // A sum over parts, which 16 bits would round at each.
        ScalarType type = ProductType.Of(dy) == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        Tensor? x = saved.Count > 1 ? saved[1].reshape(-1, weight.size(1)).In(type) : null, dw = x is null ? null : empty_like(weight);
        Tensor? dx = (bool)ctx.get_data(nameof(x.requires_grad)) ? zeros([dy.size(0), weight.size(1)], type, dy.device) : null;
        foreach ((long at, long rows) in Parts(weight, dy.size(0)))
        {
            using var each = NewDisposeScope();
            Tensor wide = dy.narrow(1, at, rows).In(type);
            dx?.addmm_(wide, weight.narrow(0, at, rows).In(type));
            dw?.narrow(0, at, rows).copy_(wide.t().mm(x!));
        }

        return [dx?.In(gradient.dtype).view([.. gradient.shape[..^1], weight.size(1)]), dw, null];
    }

    private static Tensor Compute(Tensor x, Tensor weight, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        Tensor wide = ProductType.Widen(x.reshape(-1, x.size(-1)));
        Tensor? b = bias?.In(wide.dtype);
        Tensor y = empty([wide.size(0), weight.size(0)], x.dtype, x.device);
        foreach ((long at, long rows) in Parts(weight, wide.size(0)))
        {
            using var each = NewDisposeScope();
            Tensor w = weight.narrow(0, at, rows).In(wide.dtype).t();
            y.narrow(1, at, rows).copy_(b is null ? wide.mm(w) : addmm(b.narrow(0, at, rows), wide, w, 1, 1));
        }

        return scope.MoveToOuter(y.view([.. x.shape[..^1], weight.size(0)]));
    }

    /// <summary>A token each of few texts, and no gradient.</summary>
    private static bool IsDecodingStep(Tensor x) =>
        !is_grad_enabled() && x.numel() <= MostTextsOfLibtorchs * x.size(-1) && (x.dim() < 3 || x.size(1) == 1);

    private static Tensor InOnePart(Tensor x, Tensor weight, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        Tensor wide = ProductType.Widen(x);
        return scope.MoveToOuter(nn.functional.linear(wide, weight.In(wide.dtype), bias?.In(wide.dtype)).In(x.dtype));
    }

    private static IEnumerable<(long At, long Rows)> Parts(Tensor weight, long tokens)
    {
        long outputs = weight.size(0), part = PartRows(weight.size(1), tokens);
        for (long at = 0; at < outputs; at += part)
        {
            yield return (at, Math.Min(part, outputs - at));
        }
    }

    private static long PartRows(long inputs, long tokens) => Math.Max(PartValues / Math.Max(Math.Max(inputs, tokens), 1), 1);

    /// <summary>What takes no gradient and is not read in backward.</summary>
    private sealed record Constants(Tensor? Bias);
}
