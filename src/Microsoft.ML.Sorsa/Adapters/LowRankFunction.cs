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
/// and their gradients on the way out; where the processor does not multiply x's type, x, dY and W are, and y and dx on the way out
/// (<see cref="ProductType"/>). The gradients are needed where libtorch's would keep more: of a weight in NF4 its matrix, so of one that is
/// widened, of a mask x', of an output that nobody reads the output; and where <see cref="TallSkinnyProduct"/> is faster than libtorch.
/// </summary>
internal sealed class LowRankFunction : GradientFunction<LowRankFunction>
{
    /// <summary>y [..., out], with a gradient where gradients are on. It belongs to the dispose scope that is open.</summary>
    /// <param name="input">x [..., in].</param>
    /// <param name="weight">W [out, in].</param>
    /// <param name="bias">b [out], which takes no gradient, or null.</param>
    /// <param name="b">B [out, r].</param>
    /// <param name="a">A [r, in].</param>
    /// <param name="mask">What x is multiplied with on the trained side, or null.</param>
    /// <param name="isRead">
    /// Whether anybody reads y. No gradient is made of it; where it was computed before, it need not be again, and its values are any.
    /// </param>
    public static Tensor Apply(
        Tensor input, FrozenWeight weight, Tensor? bias, Tensor b, Tensor a, Tensor? mask = null, bool isRead = true)
    {
        var constants = new Constants(weight, bias, mask, isRead);

        // Where libtorch's own gradients keep no more than the factors in x's type and are as fast, they do: it need not call back into C#.
        // They do, too, where nobody opened a pass: a user's own training may want gradients of gradients.
        bool needsOwn = weight is not PlainWeight || mask is not null || !isRead
            || (BackwardPass.Current is not null && (ProductType.Of(input) != input.dtype || AreSkinny(input, b, a)));
        return is_grad_enabled() && needsOwn
            ? Record(input, b, a, constants)
            : Compute(input, b, a, constants, isRecorded: false).Output;
    }

    protected override Tensor Forward(AutogradContext ctx, object[] vars)
    {
        using var scope = NewDisposeScope();
        (Tensor input, Tensor b, Tensor a, Constants constants) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (Constants)vars[3]);
        (Tensor output, Tensor hidden) = Compute(input, b, a, constants, isRecorded: true);

        List<Tensor> saved = [input, hidden, b, a];
        if (constants.Mask is not null)
        {
            saved.Add(constants.Mask);
        }

        ctx.save_for_backward(saved);
        ctx.save_data(nameof(Constants.Weight), constants.Weight);
        ctx.save_data(nameof(input.requires_grad), input.requires_grad);
        scope.MoveToOuter(hidden);
        return scope.MoveToOuter(output);
    }

    protected override List<Tensor?> Gradients(AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor input, Tensor hidden, Tensor b, Tensor a) = (saved[0], saved[1], saved[2], saved[3]);
        Tensor? mask = saved.Count > 4 ? Flat(saved[4]) : null;

        Tensor dy = ProductType.Widen(Flat(gradient));
        Tensor x = ProductType.Widen(Flat(input));
        bool areSkinny = AreSkinny(x, b, a);
        Tensor p = Product(dy, b.to(dy.dtype), areSkinny);

        // MKL rounds the same product otherwise where it is asked for transposed, and libtorch's own gradients ask for this one.
        // Ours reads dY by rows, and gives B's order afterwards.
        Tensor db = (areSkinny ? TallSkinnyProduct.Compute(hidden.t(), dy).t().contiguous() : dy.t().mm(hidden)).to(b.dtype);
        Tensor da = Product(p.t(), mask is null ? x : x * mask, areSkinny).to(a.dtype);

        Tensor? dx = null;
        if ((bool)ctx.get_data(nameof(input.requires_grad)))
        {
            Tensor factor = a.to(dy.dtype);
            dx = dy.mm(((FrozenWeight)ctx.get_data(nameof(Constants.Weight))).Dense(dy.dtype));
            dx = (mask is null ? dx.addmm_(p, factor) : dx.AddProduct(p.mm(factor), mask)).view(input.shape).In(input.dtype);
        }

        return [dx, db, da, null];
    }

    /// <summary>y and h, flat over the tokens in h.</summary>
    /// <param name="input">x.</param>
    /// <param name="b">B.</param>
    /// <param name="a">A.</param>
    /// <param name="constants">The rest.</param>
    /// <param name="isRecorded">It is for a gradient, although libtorch has turned gradients off for it.</param>
    private static (Tensor Output, Tensor Hidden) Compute(Tensor input, Tensor b, Tensor a, Constants constants, bool isRecorded)
    {
        (FrozenWeight weight, Tensor? bias, Tensor? mask, bool isRead) = constants;
        ScalarType type = ProductType.Of(input);
        Tensor? read = isRead ? weight.Dense(type != input.dtype && FewRowsProduct.AreFew(input) ? input.dtype : type) : null;
        if (read is not null && mask is null && !isRecorded && FewRowsProduct.Fits(input, read))
        {
            return Decode(input, read, bias, b, a);
        }

        Tensor x = Flat(input).In(type);
        long[] shape = [.. input.shape[..^1], weight.Shape[0]];
        Tensor adapted = mask is null ? x : x * Flat(mask);
        Tensor hidden = Product(adapted, a.to(x.dtype).t(), !is_grad_enabled() && AreSkinny(x, b, a));
        if (read is null)
        {
            return (empty(shape, input.dtype, x.device), hidden);
        }

        Tensor w = read.In(type).t();
        Tensor output = bias is null ? x.mm(w) : addmm(bias.In(type), x, w, 1, 1);
        output.addmm_(hidden, b.to(type).t());
        return (output.view(shape).In(input.dtype), hidden);
    }

    /// <summary>The same of the few rows of a decoding step: each is read from memory once, and is what it is alone.</summary>
    private static (Tensor Output, Tensor Hidden) Decode(Tensor input, Tensor w, Tensor? bias, Tensor b, Tensor a)
    {
        Tensor hidden = FewRowsProduct.Compute(input, a.to(input.dtype).contiguous(), null);
        Tensor adapted = FewRowsProduct.Compute(hidden, b.to(input.dtype).contiguous(), null);
        return (FewRowsProduct.Compute(input, w, bias).Accumulate(adapted), hidden);
    }

    /// <summary>Whether the products with the rank are our own. What does not belong together is left to libtorch, which says so.</summary>
    private static bool AreSkinny(Tensor x, Tensor b, Tensor a) =>
        TallSkinnyProduct.Fits(x, a.size(0), a.size(1), b.size(0)) && x.size(-1) == a.size(1)
        && a.device_type == x.device_type && b.device_type == x.device_type;

    private static Tensor Product(Tensor left, Tensor right, bool isSkinny) =>
        isSkinny ? TallSkinnyProduct.Compute(left, right) : left.mm(right);

    private static Tensor Flat(Tensor tensor) => tensor.reshape(-1, tensor.shape[^1]);

    /// <summary>What takes no gradient.</summary>
    private sealed record Constants(FrozenWeight Weight, Tensor? Bias, Tensor? Mask, bool IsRead);
}
