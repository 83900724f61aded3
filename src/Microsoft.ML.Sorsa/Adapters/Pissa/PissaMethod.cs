using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Lora;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Pissa;

/// <summary>
/// PiSSA (Meng et al., arXiv 2404.02948): LoRA whose product starts as the leading part of W, which W loses.
/// <code>
/// B   = U_p √(s_p / c),  A = √(s_p / c) Vt_p     at the start, as in PEFT: c · B A = U_p diag(s_p) Vt_p
/// W_r = W − c · B A                              at the start
/// y   = x W_rᵀ + c · (x Aᵀ) Bᵀ + b
/// </code>
/// A [r, in], B [out, r]; c = α / r.
/// </summary>
internal sealed class PissaMethod : AdapterMethod
{
    public static MethodDescriptor Descriptor { get; } = new()
    {
        Method = FineTuningMethod.Pissa,
        Name = "pissa",
        DefaultLearningRate = 5e-4,
        Options = MethodOptions.LowRank | MethodOptions.QuantizationRounds,
        Create = (settings, run) => new PissaMethod
        {
            Rank = settings.RankOrDefault,
            Scale = settings.Scale,
            QuantizationRounds = settings.QuantizationRounds,
            Decomposition = run.Decomposition,
            Dropout = run.InputDropout(settings),
            Quantized = settings.IsQuantized,
        },
        Memory = AdapterMemory.PrincipalPart,
        Tensors = [AdapterTensor.LoraA, AdapterTensor.LoraB, AdapterTensor.StartB, AdapterTensor.StartA],
        Restore = Restore,
        Peft = new PeftForm(InitLoraWeights: "pissa"),
    };

    public override MethodDescriptor Method => Descriptor;

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
            ? PrincipalSplit.Quantized(linear.weight, slice, 1, QuantizationRounds, Decomposition, Start)
            : PrincipalSplit.Of(linear.weight, slice, Decomposition);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        scope.Attach(split.U, split.S, split.Vt);
        (Tensor b, Tensor a) = Factors(split.U, split.S, split.Vt, Scale);

        // As in PEFT, from the factors: whoever reads them from a file finds the same residual.
        (Tensor B, Tensor A) start = (b.Times(Scale), a.clone());
        FrozenWeight residual = split.Frozen(linear, start.B, start.A);
        scope.Detach(a, b, start.A, start.B);
        return new LoraLinear(residual, a, b, linear.bias, Scale, start)
        {
            Dropout = Dropout,
            QuantizationError = split.Error,
            StartIsRandomized = Decomposition.IsRandomized(linear.weight.shape, Rank),
        };

        (Tensor B, Tensor A) Start(Tensor u, Tensor s, Tensor vt) =>
            Factors(u, s, vt, Scale) is var (b, a) ? (b.Times(Scale), a) : default;
    }

    private static LoraLinear Restore(SavedProjection saved)
    {
        Tensor a = saved.Copy("lora_A");
        (Tensor B, Tensor A) start = saved.CopyStart() ?? LeadingPart(saved.Weight, (int)a.shape[0], saved.Scale);
        return new LoraLinear(saved.FreezeResidual(start), a, saved.Copy("lora_B"), saved.Bias, saved.Scale, start);
    }

    /// <summary>What training started from, where the file is PEFT's and does not hold it. The caller owns it.</summary>
    private static (Tensor B, Tensor A) LeadingPart(Tensor weight, int rank, double scale)
    {
        (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Exact(weight.to(AdapterStart.TypeFor(weight)), rank);
        (Tensor b, Tensor a) = Factors(u, s, vt, scale);
        return (b.Times(scale).DetachFromDisposeScope(), a.DetachFromDisposeScope());
    }

    /// <summary>
    /// B and A of the leading triplets, in the dispose scope that is open. What PEFT's files leave out is made here too: the same factors,
    /// to the bit.
    /// </summary>
    private static (Tensor B, Tensor A) Factors(Tensor u, Tensor s, Tensor vt, double scale)
    {
        Tensor root = s.Times(1 / scale).sqrt();
        return (u * root, vt * root.unsqueeze(1));
    }
}
