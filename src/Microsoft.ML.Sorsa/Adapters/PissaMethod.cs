using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// PiSSA (Meng et al., arXiv 2404.02948): LoRA whose product starts as the leading part of W, which W loses: c · B A = U_p diag(s_p) Vt_p with
/// B = U_p √(s_p / c), A = √(s_p / c) Vt_p, as in PEFT.
/// </summary>
internal sealed class PissaMethod : AdapterMethod
{
    /// <summary>r.</summary>
    public required int Rank { get; init; }

    /// <summary>c = α / r.</summary>
    public double Scale { get; init; } = 1;

    /// <summary>Where the residual is quantised: how often decomposition and quantisation take turns.</summary>
    public int QuantizationRounds { get; init; } = 1;

    /// <summary>Where the leading triplets come from.</summary>
    public required Decomposition Decomposition { get; init; }

    public override Adapter Create(string path, Linear linear)
    {
        var slice = new TripletSlice(0, Rank);
        PrincipalSplit split = Quantized
            ? PrincipalSplit.Quantized(linear.weight, slice, 1, QuantizationRounds, Decomposition)
            : PrincipalSplit.Of(linear.weight, slice, Decomposition);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        scope.Attach(split.U, split.S, split.Vt);
        (Tensor b, Tensor a) = Factors(split.U, split.S, split.Vt, Scale);

        // As in PEFT, from the factors: whoever reads them from a file finds the same residual.
        FrozenWeight residual = PrincipalSplit.Residual(linear, b.Times(Scale), a, Quantized);
        return new LoraLinear(residual, a.DetachFromDisposeScope(), b.DetachFromDisposeScope(), linear.bias, Scale, AdapterParts.Pissa, this) { QuantizationError = split.Error };
    }

    /// <summary>B and A of the leading triplets; in the dispose scope that is open. Reading PEFT's files goes through here too: the same factors, to the bit.</summary>
    public static (Tensor B, Tensor A) Factors(Tensor u, Tensor s, Tensor vt, double scale)
    {
        Tensor root = s.Times(1 / scale).sqrt();
        return (u * root, vt * root.unsqueeze(1));
    }
}
