using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Pissa;

/// <summary>
/// PiSSA (Meng et al., arXiv 2404.02948): LoRA whose product starts as the leading part of W, which W loses.
/// <code>
/// W_r = W − c · B A at the start
/// y   = x W_rᵀ + c · (x Aᵀ) Bᵀ + b
/// </code>
/// A [r, in], B [out, r]; c = α / r.
/// </summary>
internal sealed class PissaLinear : LowRankAdapter
{
    [ComponentName(Name = StartB)]
    private readonly Parameter _startB;

    [ComponentName(Name = StartA)]
    private readonly Parameter _startA;

    /// <summary>Takes the tensors over.</summary>
    /// <param name="residual">W_r [out, in].</param>
    /// <param name="a">A [r, in].</param>
    /// <param name="b">B [out, r].</param>
    /// <param name="bias">b [out], or null.</param>
    /// <param name="scale">c.</param>
    /// <param name="start">The product that W_r lacks, c in its B; null: that of B and A.</param>
    public PissaLinear(FrozenWeight residual, Tensor a, Tensor b, Parameter? bias, double scale, (Tensor B, Tensor A)? start = null)
        : base(nameof(PissaLinear), residual, bias)
    {
        RequireShapes(b, a.shape[0], a, "B and A");
        A = new Parameter(a);
        B = new Parameter(b);
        Scale = scale;
        using (NewDisposeScope())
        using (no_grad())
        {
            _startB = new Parameter(start?.B ?? B.Times(scale).DetachFromDisposeScope(), requires_grad: false);
            _startA = new Parameter(start?.A ?? A.detach().clone().DetachFromDisposeScope(), requires_grad: false);
        }

        RegisterComponents();
    }

    [field: ComponentName(Name = "lora_A")]
    public Parameter A { get; }

    [field: ComponentName(Name = "lora_B")]
    public Parameter B { get; }

    public override double Scale { get; }

    public override IReadOnlyList<KeyValuePair<string, Parameter>> Trainable => [new("lora_A", A), new("lora_B", B)];

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor y = LowRankFunction.Apply(x, Frozen, Bias, B.Times(Scale), A, DrawDropout(x));
        return scope.MoveToOuter(y);
    }

    public override (Tensor B, Tensor A) Factors() => (B.Times(Scale), A);

    public override (Tensor B, Tensor A)? StartFactors() => (_startB, _startA);
}
