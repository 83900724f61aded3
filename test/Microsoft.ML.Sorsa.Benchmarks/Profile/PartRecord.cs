using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks.Profile;

/// <summary>A part of a training step.</summary>
internal enum StepPart
{
    Embedding,
    Norms,
    Rotary,
    Attention,
    Projections,
    Activation,
    Residual,
    Head,

    /// <summary>Gradients that are added up, or come to rest at what trains.</summary>
    Gradients,
    Clipping,
    Penalty,
    Optimizer,
    Other,
}

/// <summary>What a part took, over all steps.</summary>
internal sealed record PartCount(int Forward, double ForwardMilliseconds, int Backward, double BackwardMilliseconds, int Waits)
{
    public static PartCount Nothing { get; } = new(0, 0, 0, 0, 0);

    public bool IsUsed => ForwardMilliseconds + BackwardMilliseconds > 0;

    public PartCount Plus(PartCount other) => new(
        Forward + other.Forward, ForwardMilliseconds + other.ForwardMilliseconds, Backward + other.Backward,
        BackwardMilliseconds + other.BackwardMilliseconds, Waits + other.Waits);
}

/// <summary>
/// The operations of a model's steps by part: in forward by the module that runs or ran last, in backward by where forward was when it made
/// the node that runs.
/// </summary>
internal sealed class PartRecord : IDisposable
{
    /// <summary>What TorchSharp calls the nodes that call C# code.</summary>
    private const string ManagedNode = "CSharpNode";

    private readonly Lock _turn = new();
    private readonly NativeOperations _operations;
    private readonly List<Action> _hooks = [];
    private readonly Dictionary<(string Name, StepPart Part), (int Count, double Milliseconds)> _byName = [];

    /// <summary>What began when, counted by the nodes that were there.</summary>
    private readonly List<(long FirstNode, StepPart Part)> _begun = [];
    private readonly PartCount[] _counts = new PartCount[Enum.GetValues<StepPart>().Length];

    public PartRecord(CausalLM model)
    {
        Clear();
        foreach ((string name, nn.Module module) in model.named_modules())
        {
            if (module is nn.Module<Tensor, Tensor> layer && Parts(name.Split('.')[^1]) is var (during, after))
            {
                _hooks.Add(layer.register_forward_pre_hook((_, input) =>
                {
                    Part = during;
                    return input;
                }).remove);
                _hooks.Add(layer.register_forward_hook((_, _, output) =>
                {
                    Part = after;
                    return output;
                }).remove);
            }
        }

        _operations = new NativeOperations(Add);
    }

    /// <summary>What runs at the moment, backward apart.</summary>
    public StepPart Part
    {
        get => _begun.Count > 0 ? _begun[^1].Part : StepPart.Other;
        set => _begun.Add((NativeOperations.NextNode, value));
    }

    /// <summary>Backward nodes that call C# code, over all steps.</summary>
    public int ManagedNodes { get; private set; }

    /// <summary>By name, over all steps.</summary>
    public IEnumerable<(string Name, StepPart Part, int Count, double Milliseconds)> Operations =>
        _byName.Select(entry => (entry.Key.Name, entry.Key.Part, entry.Value.Count, entry.Value.Milliseconds));

    public PartCount Of(StepPart part) => _counts[(int)part];

    public void Clear()
    {
        ManagedNodes = 0;
        _byName.Clear();
        _begun.Clear();
        Array.Fill(_counts, PartCount.Nothing);
    }

    public void Dispose()
    {
        _operations.Dispose();
        _hooks.ForEach(remove => remove());
    }

    /// <summary>What runs while a module does, and what behind it; by the module's own name.</summary>
    private static (StepPart During, StepPart After)? Parts(string module) => module switch
    {
        "embed_tokens" => (StepPart.Embedding, StepPart.Other),
        "norm" => (StepPart.Norms, StepPart.Head),
        _ when module.EndsWith("norm", StringComparison.Ordinal) => (StepPart.Norms, StepPart.Other),
        "q_proj" or "k_proj" => (StepPart.Projections, StepPart.Rotary),
        "v_proj" => (StepPart.Projections, StepPart.Attention),
        "o_proj" or "down_proj" => (StepPart.Projections, StepPart.Residual),
        "gate_proj" or "up_proj" or "gate_up_proj" => (StepPart.Projections, StepPart.Activation),
        _ => null,
    };

    private void Add(RecordedOperation operation)
    {
        lock (_turn)
        {
            StepPart part = PartOf(operation);
            ManagedNodes += operation.IsNode && operation.Name == ManagedNode ? 1 : 0;
            int count = operation.Computes ? 1 : 0, waits = operation.Waits ? 1 : 0;
            _counts[(int)part] = _counts[(int)part].Plus(operation.IsBackward
                ? new PartCount(0, 0, count, operation.Milliseconds, waits)
                : new PartCount(count, operation.Milliseconds, 0, 0, waits));
            (string, StepPart) key = ((operation.Node is { } node && !operation.IsNode ? $"{node.Name}: " : "") + operation.Name, part);
            (int Count, double Milliseconds) before = _byName.GetValueOrDefault(key);
            _byName[key] = (before.Count + 1, before.Milliseconds + operation.Milliseconds);
        }
    }

    private StepPart PartOf(RecordedOperation operation) => operation switch
    {
        { Node: { } node } => node.Name.Contains("AccumulateGrad", StringComparison.Ordinal) ? StepPart.Gradients : Made(node.Sequence),

        // The sum of what a tensor's readers gave.
        { IsBackward: true } => StepPart.Gradients,
        _ => Part,
    };

    /// <summary>What ran when forward made a node: the last part that had begun.</summary>
    private StepPart Made(long node)
    {
        int behind = _begun.Count, first = 0;
        while (first < behind)
        {
            int middle = (first + behind) / 2;
            (first, behind) = _begun[middle].FirstNode <= node ? (middle + 1, behind) : (first, middle);
        }

        return first > 0 ? _begun[first - 1].Part : StepPart.Other;
    }
}
