using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Dora;

/// <summary>
/// DoRA (Liu et al., arXiv 2402.09353): the weight as a direction, which LoRA updates, and a magnitude m [out], which trains too.
/// <code>
/// g = m / ‖W + c B A‖        the norm per output row, its gradient stopped, as in the paper's section 4.3 and PEFT
/// y = (x Wᵀ + c · (x Aᵀ) Bᵀ) ⊙ g + b
/// </code>
/// The norm comes from ‖w‖² + 2 w·(cBA) + ‖cBA‖², row by row, without forming B A.
/// </summary>
internal sealed class DoraLinear : LowRankAdapter
{
    [ComponentName(Name = "squared_norms")]
    private readonly Parameter _squaredNorms;

    /// <summary>Takes the tensors over.</summary>
    /// <param name="frozen">W [out, in].</param>
    /// <param name="a">A [r, in].</param>
    /// <param name="b">B [out, r].</param>
    /// <param name="magnitude">m [out].</param>
    /// <param name="bias">b [out], or null.</param>
    /// <param name="scale">c.</param>
    public DoraLinear(FrozenWeight frozen, Tensor a, Tensor b, Tensor magnitude, Parameter? bias, double scale)
        : base(nameof(DoraLinear), frozen, bias)
    {
        RequireShapes(b, a.shape[0], a, "B and A");
        A = new Parameter(a);
        B = new Parameter(b);
        M = new Parameter(magnitude);
        Scale = scale;
        using (NewDisposeScope())
        {
            _squaredNorms = new Parameter(SquaredNorms(frozen, A.dtype).DetachFromDisposeScope(), requires_grad: false);
        }

        RegisterComponents();
    }

    [field: ComponentName(Name = "lora_A")]
    public Parameter A { get; }

    [field: ComponentName(Name = "lora_B")]
    public Parameter B { get; }

    [field: ComponentName(Name = "lora_magnitude_vector")]
    public Parameter M { get; }

    public override double Scale { get; }

    public override IReadOnlyList<KeyValuePair<string, Parameter>> Trainable =>
        [new("lora_A", A), new("lora_B", B), new("lora_magnitude_vector", M)];

    /// <summary>m at the start: ‖w‖ of every row. The caller owns it.</summary>
    public static Tensor Magnitude(FrozenWeight frozen, ScalarType type)
    {
        using var scope = NewDisposeScope();
        return SquaredNorms(frozen, type).sqrt().DetachFromDisposeScope();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor y = Project(x, bias: null, isRead: true) * Gain().to(x.dtype);
        return scope.MoveToOuter(Bias is null ? y : y.Plus(Bias));
    }

    /// <summary>The gradient of g needs the product.</summary>
    public override Tensor Unread(Tensor x) => forward(x);

    public override (Tensor B, Tensor A) Factors() => (Scaled(B), A);

    /// <summary>g · (W + c B A).</summary>
    public override Tensor Weight()
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(base.Weight() * Gain().unsqueeze(1));
    }

    private static Tensor SquaredNorms(FrozenWeight frozen, ScalarType type)
    {
        using var noGrad = no_grad();
        Tensor weight = frozen.Dense(type);
        return (weight * weight).sum(dim: 1);
    }

    /// <summary>g [out]; belongs to the dispose scope that is open.</summary>
    private Tensor Gain()
    {
        Tensor norm;
        using (no_grad())
        {
            // 2 w·(cBA) + ‖cBA‖² is the row of cB times that of (2 W Aᵀ + cB A Aᵀ).
            Tensor b = Scaled(B);
            Tensor w = Frozen.Dense(A.dtype);
            Tensor product = TallSkinnyProduct.Fits(w, A.size(0), A.size(1), w.size(0))
                ? TallSkinnyProduct.Compute(w, A.t())
                : w.mm(A.t());
            Tensor other = product.addmm_(b, A.mm(A.t()), beta: 2, alpha: 1);
            norm = other.mul_(b).sum(dim: 1).Accumulate(_squaredNorms).sqrt_();
        }

        // A row of zeros has no direction: it stays where it is.
        return M / norm.AtLeast(1e-30);
    }
}
