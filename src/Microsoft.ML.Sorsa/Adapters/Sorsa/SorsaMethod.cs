using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Sorsa;

/// <summary>SORSA: the chosen singular triplets of every target train, kept orthonormal by a penalty, or exactly.</summary>
internal sealed class SorsaMethod : AdapterMethod
{
    public static MethodDescriptor Descriptor { get; } = new()
    {
        Method = FineTuningMethod.Sorsa,
        Name = "sorsa",
        DefaultLearningRate = 5e-4,
        Options = MethodOptions.LowRank | MethodOptions.QuantizationRounds | MethodOptions.Gamma | MethodOptions.RegularizerReduction
            | MethodOptions.Triplets | MethodOptions.SliceStart | MethodOptions.HardOrthonormality,
        DefaultGamma = 4e-4,
        Create = Create,
        Tensors =
        [
            new("U", Axis.Out, Axis.Rank), new("s", Axis.Rank), new("Vt", Axis.Rank, Axis.In), AdapterTensor.StartB, AdapterTensor.StartA,
        ],
        Memory = Memory,
        Restore = Restore,
    };

    public override MethodDescriptor Method => Descriptor;

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
        FrozenWeight residual = split.Frozen(linear, startB, startA);
        return new SorsaLinear(residual, split.U, split.S, split.Vt, linear.bias, Scale, (startB, startA))
        {
            Dropout = Dropout,
            QuantizationError = split.Error,
        };
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

    private static AdapterMemory Memory(MethodSettings settings, AdaptedShape shape)
    {
        AdapterMemory part = AdapterMemory.PrincipalPart(settings, shape);
        return part with
        {
            Trained = part.Trained + settings.RankOrDefault,
            AfterStep = settings.HardOrthonormality ? 3 * part.Trained * shape.WorkingSize : 0,
        };
    }

    private static SorsaMethod Create(MethodSettings settings, MethodRun run) => new()
    {
        Rank = settings.RankOrDefault,
        Scale = settings.Scale,
        Gamma = settings.Gamma ?? (settings.HardOrthonormality ? 0 : Descriptor.DefaultGamma),
        RegularizerMean = settings.RegularizerReduction == RegularizerReduction.Mean,
        FirstTriplet = settings.Triplets switch
        {
            SingularTriplets.Leading => 0,
            SingularTriplets.Slice => settings.SliceStart,
            _ => null,
        },
        HardOrthonormality = settings.HardOrthonormality,
        QuantizationRounds = settings.QuantizationRounds,
        Decomposition = run.Decomposition,
        Dropout = run.InputDropout(settings),
        Quantized = settings.IsQuantized,
    };

    private static SorsaLinear Restore(SavedProjection saved)
    {
        (Tensor B, Tensor A) start = (saved.Copy(LowRankAdapter.StartB), saved.Copy(LowRankAdapter.StartA));
        return new SorsaLinear(
            saved.FreezeResidual(start), saved.Copy("U"), saved.Copy("s"), saved.Copy("Vt"), saved.Bias, saved.Scale, start);
    }
}
