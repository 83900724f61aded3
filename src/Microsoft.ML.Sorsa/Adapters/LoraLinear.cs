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
    [ComponentName(Name = StartB)]
    private readonly Parameter? _startB;

    [ComponentName(Name = StartA)]
    private readonly Parameter? _startA;

    /// <param name="frozen">W [out, in].</param>
    /// <param name="a">A [r, in], owned from now on.</param>
    /// <param name="b">B [out, r], owned from now on.</param>
    /// <param name="bias">b [out], or null.</param>
    /// <param name="scale">c.</param>
    /// <param name="method">LoRA or rsLoRA, where the product is an update of W, or PiSSA, where W lost the product that it starts from.</param>
    /// <param name="rules">Says what is dropped; null: nothing.</param>
    /// <param name="start">PiSSA's product that W lacks, owned from now on; null: that of A and B themselves.</param>
    public LoraLinear(
        FrozenWeight frozen, Tensor a, Tensor b, Parameter? bias, double scale, string method = AdapterParts.Lora, AdapterMethod? rules = null, (Tensor B, Tensor A)? start = null)
        : base(nameof(LoraLinear), frozen, bias, rules)
    {
        RequireShapes(b, a.shape[0], a, "B and A");
        A = new Parameter(a);
        B = new Parameter(b);
        Method = method;
        Scale = scale;
        if (method == AdapterParts.Pissa)
        {
            using (NewDisposeScope())
            using (no_grad())
            {
                _startB = new Parameter(start?.B ?? B.Times(scale).DetachFromDisposeScope(), requires_grad: false);
                _startA = new Parameter(start?.A ?? A.detach().clone().DetachFromDisposeScope(), requires_grad: false);
            }
        }

        RegisterComponents();
    }

    [field: ComponentName(Name = "lora_A")]
    public Parameter A { get; }

    [field: ComponentName(Name = "lora_B")]
    public Parameter B { get; }

    public override string Method { get; }

    public override double Scale { get; }

    public override IReadOnlyList<KeyValuePair<string, Parameter>> Trainable => [new("lora_A", A), new("lora_B", B)];

    public override (Tensor B, Tensor A)? StartFactors() => _startB is null || _startA is null ? null : (_startB, _startA);

    public override (Tensor B, Tensor A) Factors() => (B.Times(Scale), A);
}
