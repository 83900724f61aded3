using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// Eq. (8) with its gradients by hand. Neither direction forms U diag(s) Vt, and beside x only h = x Vtᵀ [tokens, r] is kept
/// between them. With x' = x ⊙ mask (dropout) and σ = c · s:
/// <code>
/// h = x' Vtᵀ          y  = x W_rᵀ + b + h (U ∘ σ)ᵀ
/// p = dY U            G  = dYᵀ h
/// dU = G ∘ σ          ds = c · Σ_out G ∘ U          dVt = (pᵀ x') ∘ σ          dx = dY W_r + ((p ∘ σ) Vt) ⊙ mask
/// </code>
/// U, s and Vt may be of a wider type than x: they are cast on the way in, and their gradients on the way out.
/// </summary>
internal sealed class SorsaFunction : SingleTensorFunction<SorsaFunction>
{
    public override string Name => nameof(SorsaFunction);

    /// <summary>The differentiable form; the caller owns the result.</summary>
    public static Tensor Apply(Tensor input, Tensor residual, Tensor? bias, Parameter u, Parameter s, Parameter vt, double scale, Tensor? mask)
    {
        // Each node keeps an empty_like of its output alive as long as the scope it was made in.
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(apply(input, u, s, vt, residual, new Constants(bias, mask, scale)));
    }

    /// <summary>y and h, flat over the tokens in h.</summary>
    public static (Tensor Output, Tensor Hidden) Forward(Tensor input, Tensor residual, Tensor? bias, Tensor u, Tensor s, Tensor vt, double scale, Tensor? mask)
    {
        Tensor x = Flat(input);
        Tensor adapted = mask is null ? x : x * Flat(mask);
        Tensor hidden = adapted.mm(vt.to(x.dtype).t());
        Tensor output = bias is null ? x.mm(residual.t()) : addmm(bias, x, residual.t(), 1, 1);
        output.addmm_(hidden, (u * s.Times(scale)).to(x.dtype).t());
        return (output.view([.. input.shape[..^1], residual.shape[0]]), hidden);
    }

    public override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        (Tensor input, Tensor u, Tensor s, Tensor vt, Tensor residual, Constants constants) =
            ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (Tensor)vars[3], (Tensor)vars[4], (Constants)vars[5]);
        (Tensor output, Tensor hidden) = Forward(input, residual, constants.Bias, u, s, vt, constants.Scale, constants.Mask);

        List<Tensor> saved = [input, hidden, u, s, vt, residual];
        if (constants.Mask is not null)
        {
            saved.Add(constants.Mask);
        }

        ctx.save_for_backward(saved);
        ctx.save_data(nameof(Constants.Scale), constants.Scale);
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
        (Tensor input, Tensor hidden, Tensor u, Tensor s, Tensor vt, Tensor residual) = (saved[0], saved[1], saved[2], saved[3], saved[4], saved[5]);
        Tensor? mask = saved.Count > 6 ? Flat(saved[6]) : null;
        double scale = (double)ctx.get_data(nameof(Constants.Scale));

        Tensor dy = Flat(grad_output);
        Tensor x = Flat(input);
        Tensor sigma = s.Times(scale);
        Tensor p = dy.mm(u.to(dy.dtype));
        Tensor g = dy.t().mm(hidden).to(u.dtype);
        Tensor du = g * sigma;
        Tensor ds = (g * u).sum(dim: 0).Scale(scale);
        Tensor dvt = p.t().mm(mask is null ? x : x * mask).to(vt.dtype).mul_(sigma.unsqueeze(1));

        Tensor? dx = null;
        if ((bool)ctx.get_data(nameof(input.requires_grad)))
        {
            Tensor scaled = (vt * sigma.unsqueeze(1)).to(dy.dtype);
            dx = dy.mm(residual);
            dx = (mask is null ? dx.addmm_(p, scaled) : dx.AddProduct(p.mm(scaled), mask)).view(input.shape);
            scope.MoveToOuter(dx);
        }

        scope.MoveToOuter(du, ds, dvt);
        return [dx!, du, ds, dvt, null!, null!];
    }

    private static Tensor Flat(Tensor tensor) => tensor.reshape(-1, tensor.shape[^1]);

    /// <summary>What takes no gradient.</summary>
    private sealed record Constants(Tensor? Bias, Tensor? Mask, double Scale);
}
