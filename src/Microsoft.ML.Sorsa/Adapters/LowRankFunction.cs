using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// A frozen projection and a trained product of rank r beside it, with their gradients by hand. Neither direction forms B A, and beside x
/// only h = x' Aᵀ [tokens, r] is kept between them; the frozen weight is read anew in each. With x' = x ⊙ mask (dropout):
/// <code>
/// h = x' Aᵀ           y  = x Wᵀ + b + h Bᵀ
/// p = dY B            dB = dYᵀ h            dA = pᵀ x'            dx = dY W + (p A) ⊙ mask
/// </code>
/// For SORSA's Eq. (8) W is W_r, B = c · U_p diag(s_p) and A = Vt_p. A and B may be of a wider type than x: they are cast on the way in,
/// and their gradients on the way out.
/// </summary>
internal sealed class LowRankFunction : SingleTensorFunction<LowRankFunction>
{
    public override string Name => nameof(LowRankFunction);

    /// <summary>y [..., out], with a gradient where gradients are on. It belongs to the dispose scope that is open.</summary>
    /// <param name="input">x [..., in].</param>
    /// <param name="weight">W [out, in].</param>
    /// <param name="bias">b [out], which takes no gradient, or null.</param>
    /// <param name="b">B [out, r].</param>
    /// <param name="a">A [r, in].</param>
    /// <param name="mask">What x is multiplied with on the trained side, or null.</param>
    public static Tensor Apply(Tensor input, FrozenWeight weight, Tensor? bias, Tensor b, Tensor a, Tensor? mask = null)
    {
        if (!is_grad_enabled())
        {
            return Forward(input, weight, bias, b, a, mask).Output;
        }

        // Each node keeps an empty_like of its output alive as long as the scope it was made in.
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(apply(input, b, a, new Constants(weight, bias, mask)));
    }

    public override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        (Tensor input, Tensor b, Tensor a, Constants constants) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (Constants)vars[3]);
        (Tensor output, Tensor hidden) = Forward(input, constants.Weight, constants.Bias, b, a, constants.Mask);

        List<Tensor> saved = [input, hidden, b, a];
        if (constants.Mask is not null)
        {
            saved.Add(constants.Mask);
        }

        ctx.save_for_backward(saved);
        ctx.save_data(nameof(Constants.Weight), constants.Weight);
        ctx.save_data(nameof(input.requires_grad), input.requires_grad);
        ctx.set_materialize_grads(false);
        scope.MoveToOuter(hidden);
        return scope.MoveToOuter(output);
    }

    public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        List<Tensor> saved = ctx.get_saved_variables();
        scope.Attach(saved);
        scope.Attach(grad_output);
        (Tensor input, Tensor hidden, Tensor b, Tensor a) = (saved[0], saved[1], saved[2], saved[3]);
        Tensor? mask = saved.Count > 4 ? Flat(saved[4]) : null;

        Tensor dy = Flat(grad_output);
        Tensor x = Flat(input);
        Tensor p = dy.mm(b.to(dy.dtype));
        Tensor db = dy.t().mm(hidden).to(b.dtype);
        Tensor da = p.t().mm(mask is null ? x : x * mask).to(a.dtype);

        Tensor? dx = null;
        if ((bool)ctx.get_data(nameof(input.requires_grad)))
        {
            Tensor narrow = a.to(dy.dtype);
            dx = dy.mm(((FrozenWeight)ctx.get_data(nameof(Constants.Weight))).Dense(dy.dtype));
            dx = (mask is null ? dx.addmm_(p, narrow) : dx.AddProduct(p.mm(narrow), mask)).view(input.shape);
            scope.MoveToOuter(dx);
        }

        scope.MoveToOuter(db, da);
        return [dx!, db, da, null!];
    }

    /// <summary>y and h, flat over the tokens in h.</summary>
    private static (Tensor Output, Tensor Hidden) Forward(Tensor input, FrozenWeight weight, Tensor? bias, Tensor b, Tensor a, Tensor? mask)
    {
        Tensor x = Flat(input), w = weight.Dense(input.dtype);
        Tensor adapted = mask is null ? x : x * Flat(mask);
        Tensor hidden = adapted.mm(a.to(x.dtype).t());
        Tensor output = bias is null ? x.mm(w.t()) : addmm(bias, x, w.t(), 1, 1);
        output.addmm_(hidden, b.to(x.dtype).t());
        return (output.view([.. input.shape[..^1], w.shape[0]]), hidden);
    }

    private static Tensor Flat(Tensor tensor) => tensor.reshape(-1, tensor.shape[^1]);

    /// <summary>What takes no gradient.</summary>
    private sealed record Constants(FrozenWeight Weight, Tensor? Bias, Tensor? Mask);
}
