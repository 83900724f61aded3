using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>SORSA: the chosen singular triplets of every target train, kept orthonormal by a penalty, or exactly.</summary>
internal sealed class SorsaMethod : AdapterMethod
{
    /// <summary>r.</summary>
    public required int Rank { get; init; }

    /// <summary>c.</summary>
    public double Scale { get; init; } = 1;

    /// <summary>γ; 0: no regularizer.</summary>
    public double Gamma { get; init; }

    /// <summary>The regularizer is the mean over its matrices; otherwise their sum.</summary>
    public bool RegularizerMean { get; init; } = true;

    /// <summary>The first triplet that trains, from 0; null: the trailing ones.</summary>
    public int? FirstTriplet { get; init; } = 0;

    /// <summary>After each step U and Vt are brought back onto the Stiefel manifold.</summary>
    public bool HardOrthonormality { get; init; }

    /// <summary>Where the residual is quantised: how often decomposition and quantisation take turns.</summary>
    public int QuantizationRounds { get; init; } = 1;

    /// <summary>Where the leading triplets come from.</summary>
    public required Decomposition Decomposition { get; init; }

    public override OrthonormalityPenalty? Penalty => Gamma > 0 ? new OrthonormalityPenalty(Gamma, RegularizerMean, InLoss: false) : null;

    public override Adapter Create(string path, Linear linear)
    {
        var slice = new TripletSlice(FirstTriplet, Rank);
        PrincipalSplit split = Quantized
            ? PrincipalSplit.Quantized(linear.weight, slice, Scale, QuantizationRounds, Decomposition)
            : PrincipalSplit.Of(linear.weight, slice, Decomposition);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor startB = (split.U * split.S.Times(Scale)).DetachFromDisposeScope(), startA = split.Vt.clone().DetachFromDisposeScope();
        FrozenWeight residual = PrincipalSplit.Residual(linear, startB, startA, Quantized);
        return new SorsaLinear(residual, split.U, split.S, split.Vt, linear.bias, Scale, this, (startB, startA)) { QuantizationError = split.Error };
    }

    public override void AfterStep(IReadOnlyList<Adapter> adapters, int step)
    {
        if (HardOrthonormality)
        {
            foreach (SorsaLinear adapter in adapters.OfType<SorsaLinear>())
            {
                adapter.Orthonormalize();
            }
        }
    }
}
