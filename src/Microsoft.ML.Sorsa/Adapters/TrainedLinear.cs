using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>Fine-tuning of the weight itself: y = x Wᵀ + b, where W trains, in float32 at least, and b in full fine-tuning.</summary>
internal sealed class TrainedLinear : Adapter
{
    private readonly bool _trainsBias;

    [ComponentName(Name = "start")]
    private readonly FrozenWeight _start;

    /// <param name="start">W as it was.</param>
    /// <param name="weight">W [out, in], owned from now on.</param>
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

    [field: ComponentName(Name = "weight")]
    public Parameter W { get; }

    [field: ComponentName(Name = "bias")]
    public override Parameter? Bias { get; }

    public override IReadOnlyList<KeyValuePair<string, Parameter>> Trainable => _trainsBias ? [new("weight", W), new("bias", Bias!)] : [new("weight", W)];

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(nn.functional.linear(input, W.to(input.dtype), Bias));
    }

    public override Tensor Weight() => W.alias();

    public override Tensor InitialWeight()
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(_start.Dense(W.dtype).clone());
    }
}
