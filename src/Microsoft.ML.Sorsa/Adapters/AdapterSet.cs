using System.Globalization;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Optimizers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>The adapters of a model: put into its projections by name, trained together, merged back into plain weights.</summary>
internal sealed class AdapterSet
{
    private readonly AdapterMethod _method;
    private readonly List<(AdapterTarget Target, Adapter Adapter)> _adapters = [];
    private readonly List<(string Name, Tensor Initial, Parameter Weight)> _weights = [];

    private AdapterSet(AdapterMethod method) => _method = method;

    /// <summary>What files call the method.</summary>
    public MethodDescriptor? Method => _method.Method;

    /// <summary>The adapters under their projections' checkpoint names, such as model.layers.0.self_attn.q_proj.</summary>
    public IEnumerable<KeyValuePair<string, Adapter>> Adapters =>
        _adapters.Select(entry => KeyValuePair.Create(entry.Target.Path, entry.Adapter));

    /// <summary>Everything that trains, under names such as model.layers.0.self_attn.q_proj.U.</summary>
    public IReadOnlyList<KeyValuePair<string, Parameter>> Trainable =>
    [
        .. _adapters.SelectMany(entry =>
            entry.Adapter.Trainable.Select(named => KeyValuePair.Create($"{entry.Target.Path}.{named.Key}", named.Value))),
        .. _weights.Select(weight => KeyValuePair.Create(weight.Name, weight.Weight)),
    ];

    /// <summary>What trains outside of the projections, as it was and as it is.</summary>
    public IEnumerable<(string Name, Tensor Initial, Parameter Weight)> TrainedWeights => _weights;

    /// <summary>The penalty on <see cref="OrthonormalFactors"/>, or null.</summary>
    public OrthonormalityPenalty? Penalty => _method.Penalty;

    /// <summary>What the method remembers between two steps, by name; the adapters own the tensors.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
        from entry in _adapters
        from named in entry.Adapter.State
        select KeyValuePair.Create($"{entry.Target.Path}.{named.Key}", named.Value);

    /// <summary>What makes the masks of all adapters; null: there is no dropout.</summary>
    public InputDropout? Dropout => _method.Dropout;

    /// <summary>What the regularizer acts on.</summary>
    public IReadOnlyList<OrthonormalFactor> OrthonormalFactors => [.. _adapters.SelectMany(entry => entry.Adapter.OrthonormalFactors)];

    /// <summary>Refuses targets that the model does not have and ranks that a target does not allow; looks at shapes only.</summary>
    /// <param name="config">The model.</param>
    /// <param name="targetModules">Names such as q_proj.</param>
    /// <param name="rank">r; null for methods without one.</param>
    /// <exception cref="ArgumentException">A target name matches no projection.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The rank is below 1 or above min(out, in) of a target.</exception>
    public static void Verify(DecoderConfig config, IReadOnlyList<string> targetModules, int? rank)
    {
        DecoderLayout layout = CausalLM.Layout(config.Spec.WithEachKindOfLayer());
        IReadOnlyList<string> names = layout.TargetModules;
        if (targetModules.Count == 0 || targetModules.Any(target => !names.Contains(target, StringComparer.Ordinal)))
        {
            string unknown = string.Join(", ", targetModules.Where(target => !names.Contains(target, StringComparer.Ordinal)));
            throw new ArgumentException(
                $"TargetModules: '{unknown}' matches no projection of the model. Name one or more of {string.Join(", ", names)}.",
                nameof(targetModules));
        }

        foreach (ProjectionShape projection in layout.Projections.Where(
            projection => targetModules.Contains(projection.Name, StringComparer.Ordinal)))
        {
            VerifyRank(projection.Path, projection.Shape, rank);
        }
    }

    /// <summary>Refuses a rank that a matrix does not allow.</summary>
    public static void VerifyRank(string path, long[] shape, int? rank)
    {
        if (rank < 1 || rank > shape.Min())
        {
            throw new ArgumentOutOfRangeException(nameof(rank), rank, string.Create(CultureInfo.InvariantCulture,
                $"Rank: '{path}' is a matrix [{shape[0]}, {shape[1]}] and allows ranks from 1 to {shape.Min()}. ")
                + "Choose a Rank in that range (together with SliceStart, where that is set), or leave that target out of TargetModules.");
        }
    }

    /// <summary>Puts an adapter into every target projection.</summary>
    /// <param name="model">The model; its other weights stay frozen, unless the method trains every one.</param>
    /// <param name="targetModules">Names such as q_proj.</param>
    /// <param name="method">Makes the adapters.</param>
    /// <param name="cancellationToken">Looked at between two projections.</param>
    public static AdapterSet Inject(
        CausalLM model, IReadOnlyList<string> targetModules, AdapterMethod method, CancellationToken cancellationToken = default)
    {
        IEnumerable<ProjectionSlot> slots = model.Projections.Where(slot => targetModules.Contains(slot.Name, StringComparer.Ordinal));
        AdapterSet adapters = Inject(slots.Select(slot => new ProjectionTarget(slot, model.Type)), method, cancellationToken);
        if (method.TrainsEveryWeight)
        {
            string[] paths = [.. adapters._adapters.Select(entry => entry.Target.Path + ".")];
            bool IsTargeted(string name) => paths.Any(path => name.StartsWith(path, StringComparison.Ordinal));
            foreach ((string name, Tensor weight) in model.NamedWeights.Where(named => !IsTargeted(named.Key)))
            {
                adapters._weights.Add((name, weight.detach().DetachFromDisposeScope(), Thawed((Parameter)weight)));
            }

            foreach (Parameter bias in adapters._adapters.Select(entry => entry.Adapter.Bias).OfType<Parameter>())
            {
                Thawed(bias);
            }
        }

        return adapters;
    }

    /// <summary>Puts an adapter into every target.</summary>
    public static AdapterSet Inject(IEnumerable<AdapterTarget> targets, AdapterMethod method, CancellationToken cancellationToken = default)
    {
        var adapters = new AdapterSet(method);
        try
        {
            foreach (AdapterTarget target in targets)
            {
                cancellationToken.ThrowIfCancellationRequested();
                Linear projection = target.Projection();
                WeightVerification.RequireFinite(projection.weight, target.Path, "Its checkpoint is broken: fetch or write it again.");
                Adapter adapter = method.Create(target.Path, projection);
                target.Attach(adapter, projection);
                adapters._adapters.Add((target, adapter));
            }

            return adapters;
        }
        catch
        {
            adapters.Discard();
            throw;
        }
    }

    /// <summary>Makes the model compute with the adapters' present values.</summary>
    public void WriteWeights() => _adapters.ForEach(entry => entry.Target.WriteWeights(entry.Adapter));

    /// <summary>Brings the gradients of a backward pass to what trains.</summary>
    public void CollectGradients() => _adapters.ForEach(entry => entry.Target.CollectGradients(entry.Adapter));

    /// <summary>What updates everything that trains, as the method has it; the caller owns it.</summary>
    public IOptimizer CreateOptimizer(AdamWSettings settings) =>
        _method.CreateOptimizer(Trainable, [.. _adapters.Select(entry => entry.Adapter)], settings);

    /// <summary>What the method does after an optimizer step, counted from 0; the gradients are still set.</summary>
    public void AfterStep(int step) => _method.AfterStep([.. _adapters.Select(entry => entry.Adapter)], step);

    /// <summary>
    /// Turns every adapter into a plain projection. The weight is computed in float32, rounded once to
    /// <paramref name="storedType"/>, and then computes in the model's own type: what runs is what a file will hold.
    /// </summary>
    /// <param name="storedType">What a file will hold.</param>
    /// <param name="remedy">What to do where the weights cannot be used; null: what a training that diverged needs.</param>
    /// <exception cref="ArithmeticException">A weight is not finite, too large, or became zero; nothing is merged for good.</exception>
    public void Merge(ScalarType storedType, string? remedy = null)
    {
        remedy ??= $"Training diverged, or {storedType} is too narrow for it: "
            + "lower LearningRate, or choose Float32 or BFloat16 as SavedType.";
        foreach ((string name, Tensor initial, Parameter weight) in _weights)
        {
            WeightVerification.RequireAlive(weight, () => initial, name, remedy);
        }

        foreach ((AdapterTarget target, Adapter adapter) in _adapters)
        {
            using var scope = NewDisposeScope();
            Tensor merged = adapter.MergedWeight(), weight = merged.to(storedType);
            WeightVerification.RequireFinite(weight, target.Path, remedy);
            WeightVerification.RequireAlive(merged, adapter.InitialWeight, target.Path, remedy);
            target.Merge(adapter, weight);
        }

        // Only now: a merge that fails at the last target can still be discarded as a whole.
        _adapters.ForEach(entry => entry.Target.Release(entry.Adapter));
        _weights.ForEach(weight =>
        {
            weight.Weight.requires_grad = false;
            weight.Initial.Dispose();
        });
        _adapters.Clear();
        _weights.Clear();
    }

    /// <summary>Puts everything back as it was, where that can be done. Nothing is left to do after a merge.</summary>
    public void Discard()
    {
        _adapters.ForEach(entry => entry.Target.Discard(entry.Adapter));
        _weights.ForEach(weight => weight.Initial.Dispose());
        _adapters.Clear();
        _weights.Clear();
    }

    /// <summary>Made to train: in memory of its own, since the file that it may be mapped from cannot be written to.</summary>
    private static Parameter Thawed(Parameter weight)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        weight.set_(weight.clone());
        weight.requires_grad = true;
        return weight;
    }
}
