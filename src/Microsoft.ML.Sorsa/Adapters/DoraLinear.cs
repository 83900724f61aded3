using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// DoRA (Liu et al., arXiv 2402.09353): the weight as a direction, which LoRA updates, and a magnitude m [out], which trains too.
/// <code>W' = m · (W + c B A) / ‖W + c B A‖        the norm per output row, its gradient stopped, as in the paper's section 4.3 and PEFT</code>
/// The norm comes from ‖w‖² + 2 w·(cBA) + ‖cBA‖², row by row, without forming B A.
/// </summary>
internal sealed class DoraLinear : LowRankAdapter
{

    [ComponentName(Name = "squared_norms")]
    private readonly Parameter _squaredNorms;

    /// <param name="frozen">W [out, in].</param>
    /// <param name="a">A [r, in], owned from now on.</param>
    /// <param name="b">B [out, r], owned from now on.</param>
    /// <param name="magnitude">m [out], owned from now on.</param>
    /// <param name="bias">b [out], or null.</param>
    /// <param name="scale">c.</param>
    /// <param name="method">Says what is dropped; null: nothing.</param>
    public DoraLinear(FrozenWeight frozen, Tensor a, Tensor b, Tensor magnitude, Parameter? bias, double scale, AdapterMethod? method = null)
        : base(nameof(DoraLinear), frozen, bias, method)
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

    public override string Method => AdapterParts.Dora;

    public override double Scale { get; }

    public override IReadOnlyList<KeyValuePair<string, Parameter>> Trainable => [new("lora_A", A), new("lora_B", B), new("lora_magnitude_vector", M)];

    /// <summary>m at the start: ‖w‖ of every row. The caller owns it.</summary>
    public static Tensor Magnitude(FrozenWeight frozen, ScalarType type)
    {
        using var scope = NewDisposeScope();
        return SquaredNorms(frozen, type).sqrt().DetachFromDisposeScope();
    }

    public override (Tensor B, Tensor A)? StartFactors() => null;

    public override (Tensor B, Tensor A) Factors() => (B.Times(Scale), A);

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor output = Project(input, bias: null) * Factor().to(input.dtype);
        return scope.MoveToOuter(Bias is null ? output : output.Plus(Bias));
    }

    /// <summary>m · (W + c B A) / ‖W + c B A‖.</summary>
    public override Tensor Weight()
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(base.Weight() * Factor().unsqueeze(1));
    }

    private static Tensor SquaredNorms(FrozenWeight frozen, ScalarType type)
    {
        using var noGrad = no_grad();
        Tensor weight = frozen.Dense(type);
        return (weight * weight).sum(dim: 1);
    }

    /// <summary>m / ‖W + c B A‖ [out]; belongs to the dispose scope that is open.</summary>
    private Tensor Factor()
    {
        Tensor norm;
        using (no_grad())
        {
            Tensor b = B.Times(Scale);
            Tensor cross = (Frozen.Dense(A.dtype).mm(A.t()) * b).sum(dim: 1).Scale(2);
            norm = (b.mm(A.mm(A.t())) * b).sum(dim: 1).Accumulate(cross).Accumulate(_squaredNorms).sqrt_();
        }

        // A row of zeros has no direction: it stays where it is.
        return M / norm.AtLeast(1e-30);
    }
}
