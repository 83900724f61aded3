using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Lora;

/// <summary>
/// LoRA (Hu et al., arXiv 2106.09685): A [r, in] and B [out, r] train beside W.
/// <code>y = x Wᵀ + c · (x Aᵀ) Bᵀ + b</code>
/// c = α / r; rsLoRA (Kalajdzievski, arXiv 2312.03732) differs in c = α / √r alone; in PiSSA the product starts as a part of W, which W
/// then lacks.
/// </summary>
internal sealed class LoraLinear : LowRankAdapter
{
    [ComponentName(Name = StartB)]
    private readonly Parameter? _startB;

    [ComponentName(Name = StartA)]
    private readonly Parameter? _startA;

    /// <summary>Takes the tensors over.</summary>
    /// <param name="frozen">W [out, in].</param>
    /// <param name="a">A [r, in].</param>
    /// <param name="b">B [out, r].</param>
    /// <param name="bias">b [out], or null.</param>
    /// <param name="scale">c.</param>
    /// <param name="start">The product that W lacks, c in its B; null: nothing, as in LoRA.</param>
    public LoraLinear(FrozenWeight frozen, Tensor a, Tensor b, Parameter? bias, double scale, (Tensor B, Tensor A)? start = null)
        : base(nameof(LoraLinear), frozen, bias)
    {
        RequireShapes(b, a.shape[0], a, "B and A");
        A = new Parameter(a);
        B = new Parameter(b);
        Scale = scale;
        if (start is var (startB, startA))
        {
            _startB = new Parameter(startB, requires_grad: false);
            _startA = new Parameter(startA, requires_grad: false);
        }

        RegisterComponents();
    }

    [field: ComponentName(Name = "lora_A")]
    public Parameter A { get; }

    [field: ComponentName(Name = "lora_B")]
    public Parameter B { get; }

    public override double Scale { get; }

    public override IReadOnlyList<KeyValuePair<string, Parameter>> Trainable => [new("lora_A", A), new("lora_B", B)];

    public override (Tensor B, Tensor A) Factors() => (Scaled(B), A);

    public override (Tensor B, Tensor A)? StartFactors() => _startB is null || _startA is null ? null : (_startB, _startA);
}
