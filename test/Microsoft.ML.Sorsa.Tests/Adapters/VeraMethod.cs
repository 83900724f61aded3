using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>
/// VeRA (Kopiczko et al., arXiv 2310.11454): A [r, in] and B [out, r] are random and stay; two vectors train, d [r] and g [out].
/// <code>y = x Wᵀ + (((x Aᵀ) ⊙ d) Bᵀ) ⊙ g + b</code>
/// </summary>
internal sealed class VeraLinear : LowRankAdapter
{
    public VeraLinear(FrozenWeight frozen, Tensor a, Tensor b, Tensor d, Tensor g, Parameter? bias)
        : base(nameof(VeraLinear), frozen, bias)
    {
        RequireShapes(b, d.numel(), a, "B and A");
        A = new Parameter(a, requires_grad: false);
        B = new Parameter(b, requires_grad: false);
        D = new Parameter(d);
        G = new Parameter(g);
        RegisterComponents();
    }

    [field: ComponentName(Name = "vera_A")]
    public Parameter A { get; }

    [field: ComponentName(Name = "vera_B")]
    public Parameter B { get; }

    [field: ComponentName(Name = "vera_lambda_d")]
    public Parameter D { get; }

    [field: ComponentName(Name = "vera_lambda_b")]
    public Parameter G { get; }

    public override double Scale => 1;

    public override IReadOnlyList<KeyValuePair<string, Parameter>> Trainable => [new("vera_lambda_d", D), new("vera_lambda_b", G)];

    public override IReadOnlyList<KeyValuePair<string, Tensor>> SavedTensors =>
        [.. base.SavedTensors, new("vera_A", A), new("vera_B", B)];

    public override (Tensor B, Tensor A) Factors() => (G.unsqueeze(1) * B, D.unsqueeze(1) * A);
}

/// <summary>VeRA: d starts at 0.1 and g at zero, so that the first output is the projection's own.</summary>
internal sealed class VeraMethod : AdapterMethod
{
    public static MethodDescriptor Descriptor { get; } = new()
    {
        Method = (FineTuningMethod)1000,
        Name = "vera",
        DefaultLearningRate = 1e-2,
        Options = MethodOptions.TargetModules | MethodOptions.Rank | MethodOptions.Dropout | MethodOptions.Quantization,
        Create = (settings, run) => new VeraMethod
        {
            Rank = settings.RankOrDefault,
            Initialization = run.Initialization,
            Dropout = run.InputDropout(settings),
            Quantized = settings.IsQuantized,
        },
        Memory = Memory,
        Tensors =
        [
            new("vera_A", Axis.Rank, Axis.In), new("vera_B", Axis.Out, Axis.Rank),
            new("vera_lambda_d", Axis.Rank), new("vera_lambda_b", Axis.Out),
        ],
        Restore = saved => new VeraLinear(
            saved.Freeze(), saved.Copy("vera_A"), saved.Copy("vera_B"), saved.Copy("vera_lambda_d"), saved.Copy("vera_lambda_b"),
            saved.Bias),
    };

    public override MethodDescriptor Method => Descriptor;

    /// <summary>r.</summary>
    public required int Rank { get; init; }

    /// <summary>Where A and B are drawn from; on the CPU.</summary>
    public required Generator Initialization { get; init; }

    public override Adapter Create(string path, Linear linear)
    {
        (long rows, long columns) = (linear.weight.shape[0], linear.weight.shape[1]);
        Tensor a = AdapterStart.Uniform([Rank, columns], 1 / Math.Sqrt(columns), linear.weight, Initialization);
        Tensor b = AdapterStart.Uniform([rows, Rank], 1 / Math.Sqrt(Rank), linear.weight, Initialization);
        Tensor d = AdapterStart.Zeros([Rank], linear.weight).Shift(0.1);
        Tensor g = AdapterStart.Zeros([rows], linear.weight);
        (FrozenWeight frozen, QuantizationError? error) = Freeze(linear);
        return new VeraLinear(frozen, a, b, d, g, linear.bias) { Dropout = Dropout, QuantizationError = error };
    }

    /// <summary>Two vectors train; A and B stay beside them, and both products of a factor and its vector are kept for backward.</summary>
    private static AdapterMemory Memory(MethodSettings settings, AdaptedShape shape)
    {
        AdapterMemory lora = AdapterMemory.LowRank(settings, shape);
        long vectors = settings.RankOrDefault + shape.Out, matrices = lora.Trained * AdaptedShape.TrainedSize;
        return lora with
        {
            Trained = vectors,
            Kept = matrices,
            Factors = matrices,
            Saved = matrices + (vectors * AdaptedShape.TrainedSize),
        };
    }
}
