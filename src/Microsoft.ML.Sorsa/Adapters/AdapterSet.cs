using System.Globalization;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>The adapters of a model: put into its projections by name, trained together, merged back into plain weights.</summary>
internal sealed class AdapterSet
{
    private readonly List<(ProjectionSlot Slot, Adapter Adapter)> _adapters;

    private readonly ScalarType _computeType;

    private AdapterSet(List<(ProjectionSlot Slot, Adapter Adapter)> adapters, ScalarType computeType)
    {
        _adapters = adapters;
        _computeType = computeType;
    }

    /// <summary>The adapters under their projections' checkpoint names, such as model.layers.0.self_attn.q_proj.</summary>
    public IEnumerable<KeyValuePair<string, Adapter>> Adapters => _adapters.Select(entry => KeyValuePair.Create(entry.Slot.Path, entry.Adapter));

    /// <summary>Everything that trains, under names such as model.layers.0.self_attn.q_proj.U.</summary>
    public IReadOnlyList<KeyValuePair<string, Parameter>> Trainable =>
        [.. _adapters.SelectMany(entry => entry.Adapter.Trainable.Select(named => KeyValuePair.Create($"{entry.Slot.Path}.{named.Key}", named.Value)))];

    /// <summary>What the regularizer acts on.</summary>
    public IReadOnlyList<OrthonormalFactor> OrthonormalFactors => [.. _adapters.SelectMany(entry => entry.Adapter.OrthonormalFactors)];

    /// <summary>Refuses targets that the model does not have and ranks that a target does not allow; looks at shapes only.</summary>
    /// <exception cref="ArgumentException">A target name matches no projection.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The rank is below 1 or above min(out, in) of a target.</exception>
    public static void Verify(DecoderConfig config, IReadOnlyList<string> targetModules, int rank)
    {
        var shapes = config.ExpectedTensors().Where(named => named.Key.EndsWith("_proj.weight", StringComparison.Ordinal))
            .Select(named => (Path: named.Key[..^".weight".Length], Shape: named.Value)).ToList();
        string[] names = [.. shapes.Select(named => named.Path[(named.Path.LastIndexOf('.') + 1)..]).Distinct(StringComparer.Ordinal)];
        if (targetModules.Count == 0 || targetModules.Any(target => !names.Contains(target, StringComparer.Ordinal)))
        {
            string unknown = string.Join(", ", targetModules.Where(target => !names.Contains(target, StringComparer.Ordinal)));
            throw new ArgumentException($"TargetModules: '{unknown}' matches no projection of the model. Name one or more of {string.Join(", ", names)}.", nameof(targetModules));
        }

        foreach ((string path, long[] shape) in shapes.Where(named => targetModules.Any(target => named.Path.EndsWith("." + target, StringComparison.Ordinal))))
        {
            if (rank < 1 || rank > shape.Min())
            {
                throw new ArgumentOutOfRangeException(nameof(rank), rank, string.Create(CultureInfo.InvariantCulture,
                    $"Rank: '{path}' is a matrix [{shape[0]}, {shape[1]}] and allows ranks from 1 to {shape.Min()}. Choose a Rank in that range, or leave that target out of TargetModules."));
            }
        }
    }

    /// <summary>Puts an adapter into every target projection; the projection's own weight is freed.</summary>
    /// <param name="model">The model; its other weights stay frozen.</param>
    /// <param name="targetModules">Names such as q_proj.</param>
    /// <param name="create">Makes the adapter of one projection, given its checkpoint name.</param>
    /// <param name="cancellationToken">Looked at between two projections.</param>
    public static AdapterSet Inject(CausalLM model, IReadOnlyList<string> targetModules, Func<string, Linear, Adapter> create, CancellationToken cancellationToken = default)
    {
        var adapters = new List<(ProjectionSlot Slot, Adapter Adapter)>();
        foreach (ProjectionSlot slot in model.Projections.Where(slot => targetModules.Contains(slot.Name, StringComparer.Ordinal)))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var linear = (Linear)slot.Module;
            RequireFinite(linear.weight, slot.Path, "Its checkpoint is broken: fetch or write it again.");
            Adapter adapter = create(slot.Path, linear);
            slot.Exchange(adapter);
            linear.weight.Dispose();
            adapters.Add((slot, adapter));
        }

        return new AdapterSet(adapters, model.Type);
    }

    /// <summary>
    /// Turns every adapter into a plain projection. The weight is computed in float32, rounded once to
    /// <paramref name="storedType"/>, and then computes in the model's own type: what runs is what a file will hold.
    /// </summary>
    public void Merge(ScalarType storedType)
    {
        foreach ((ProjectionSlot slot, Adapter adapter) in _adapters)
        {
            using var scope = NewDisposeScope();
            Tensor weight = adapter.MergedWeight().to(storedType);
            RequireFinite(weight, slot.Path, $"Training diverged, or {storedType} is too narrow for it: lower LearningRate, or choose Float32 or BFloat16 as SavedType.");
            weight = weight.to(_computeType);
            slot.Exchange(nn.Linear(new Parameter(weight.DetachFromDisposeScope(), requires_grad: false), adapter.Bias));
            adapter.Free();
        }

        _adapters.Clear();
    }

    private static void RequireFinite(Tensor weight, string path, string remedy)
    {
        using var scope = NewDisposeScope();
        if (!weight.isfinite().all().item<bool>())
        {
            throw new ArithmeticException($"The weight of '{path}' holds values that are not finite. {remedy}");
        }
    }
}
