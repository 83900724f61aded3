using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// LoRA (Hu et al., arXiv 2106.09685): y = x Wᵀ + b + c · (x Aᵀ) Bᵀ with A [r, in] and B [out, r], which train. c = α / r; rsLoRA (Kalajdzievski,
/// arXiv 2312.03732) differs in c = α / √r alone, PiSSA (Meng et al., arXiv 2404.02948) in what A, B and W start from.
/// </summary>
internal sealed class LoraLinear : LowRankAdapter
{
    private readonly double _scale;

    [ComponentName(Name = "start_B")]
    private readonly Parameter? _startB;

    [ComponentName(Name = "start_A")]
    private readonly Parameter? _startA;

    /// <param name="frozen">W [out, in].</param>
    /// <param name="a">A [r, in], owned from now on.</param>
    /// <param name="b">B [out, r], owned from now on.</param>
    /// <param name="bias">b [out], or null.</param>
    /// <param name="scale">c.</param>
    /// <param name="isPartOfWeight">The product at the start was taken out of W (PiSSA); otherwise it counts as an update of W, and is zero in a fresh LoRA.</param>
    /// <param name="method">Says what is dropped; null: nothing.</param>
    public LoraLinear(FrozenWeight frozen, Tensor a, Tensor b, Parameter? bias, double scale, bool isPartOfWeight = false, AdapterMethod? method = null)
        : base(nameof(LoraLinear), frozen, bias, method)
    {
        RequireShapes(b, a.shape[0], a, "B and A");
        A = new Parameter(a);
        B = new Parameter(b);
        _scale = scale;
        if (isPartOfWeight)
        {
            using (NewDisposeScope())
            using (no_grad())
            {
                _startB = new Parameter(B.Times(scale).DetachFromDisposeScope(), requires_grad: false);
                _startA = new Parameter(A.detach().clone().DetachFromDisposeScope(), requires_grad: false);
            }
        }

        RegisterComponents();
    }

    [field: ComponentName(Name = "lora_A")]
    public Parameter A { get; }

    [field: ComponentName(Name = "lora_B")]
    public Parameter B { get; }

    public override IReadOnlyList<KeyValuePair<string, Parameter>> Trainable => [new("lora_A", A), new("lora_B", B)];

    public override (Tensor B, Tensor A)? StartFactors() => _startB is null || _startA is null ? null : (_startB, _startA);

    public override (Tensor B, Tensor A) Factors() => (B.Times(_scale), A);
}
