using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Weights;

/// <summary>Full fine-tuning, where everything trains, and partial fine-tuning, where the targets' weights do.</summary>
internal sealed class WeightMethod : AdapterMethod
{
    public static MethodDescriptor Full { get; } = new()
    {
        Method = FineTuningMethod.Full,
        Name = "full",
        DefaultLearningRate = 5e-4,
        Options = MethodOptions.None,
        TrainsEveryWeight = _ => true,
        Create = (_, _) => new WeightMethod { Everything = true },
        Memory = Memory,
    };

    public static MethodDescriptor Partial { get; } = new()
    {
        Method = FineTuningMethod.Partial,
        Name = "partial",
        DefaultLearningRate = 5e-4,
        Options = MethodOptions.TargetModules,
        Create = (_, _) => new WeightMethod { Everything = false },
        Memory = Memory,
    };

    public override MethodDescriptor Method => Everything ? Full : Partial;

    /// <summary>Full: biases, embeddings, norms and the head train too.</summary>
    public required bool Everything { get; init; }

    public override bool TrainsEveryWeight => Everything;

    /// <summary>What a weight takes that trains itself.</summary>
    public static AdapterMemory Memory(MethodSettings settings, AdaptedShape shape) => new()
    {
        // Where the type is narrower, forward keeps the weight in it, and backward has its gradient in both types; not where it is
        // multiplied in the weight's.
        Trained = shape.Count,
        Factors = shape.IsNarrow && !shape.IsWidened ? shape.Count * shape.TypeSize : 0,
        Working = shape.IsNarrow && !shape.IsWidened ? shape.Count * shape.TypeSize : 0,
    };

    public override Adapter Create(string path, Linear linear) => TrainedLinear.Of(linear, trainsBias: Everything);
}

/// <summary>Fine-tuning of the weight itself: y = x Wᵀ + b, where W trains, in float32 at least, and b where everything does.</summary>
internal sealed class TrainedLinear : Adapter
{
    private readonly bool _trainsBias;

    [ComponentName(Name = "start")]
    private readonly FrozenWeight _start;

    /// <param name="start">W as it was.</param>
    /// <param name="weight">W [out, in], taken over.</param>
    /// <param name="bias">b [out], or null.</param>
    /// <param name="trainsBias">b trains too.</param>
    public TrainedLinear(FrozenWeight start, Tensor weight, Parameter? bias, bool trainsBias)
        : base(nameof(TrainedLinear))
    {
        _start = start;
        W = new Parameter(weight);
        Bias = bias;
        _trainsBias = trainsBias && bias is not null;
        RegisterComponents();
    }

    /// <summary>Starts from a projection's weight, which stays as it is.</summary>
    public static TrainedLinear Of(Linear linear, bool trainsBias)
    {
        using var scope = NewDisposeScope();
        Tensor weight = linear.weight.detach().to(AdapterStart.TypeFor(linear.weight), copy: true);
        return new TrainedLinear(new PlainWeight(linear.weight), weight.DetachFromDisposeScope(), linear.bias, trainsBias);
    }

    [field: ComponentName(Name = "weight")]
    public Parameter W { get; }

    [field: ComponentName(Name = "bias")]
    public override Parameter? Bias { get; }

    public override IReadOnlyList<KeyValuePair<string, Parameter>> Trainable =>
        _trainsBias ? [new("weight", W), new("bias", Bias!)] : [new("weight", W)];

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        ScalarType type = ProductType.Of(input);
        return scope.MoveToOuter(FewRowsProduct.Linear(input, W.In(type), Bias));
    }

    public override Tensor Weight() => W.alias();

    public override Tensor InitialWeight()
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(_start.Dense(W.dtype).clone());
    }
}
