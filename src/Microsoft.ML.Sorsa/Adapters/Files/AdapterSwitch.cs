using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Files;

/// <summary>
/// Several adapters on one base. The one in use is merged, as after a training: what runs is a plain model; the base's own projections
/// are kept beside it and come back as they were.
/// </summary>
internal sealed class AdapterSwitch(CausalLM model, ScalarType savedType) : IDisposable
{
    private readonly SortedDictionary<string, AdapterWeights> _adapters = new(StringComparer.Ordinal);
    private readonly List<(ProjectionSlot Slot, Linear Base)> _replaced = [];

    private string? _inPlace;

    public IReadOnlyList<string> Names => [.. _adapters.Keys];

    /// <summary>The one that is used where none is named; null: the base alone.</summary>
    public string? Active { get; private set; }

    /// <summary>The weights of that one.</summary>
    public AdapterWeights? InUse => Active is null ? null : _adapters[Active];

    /// <summary>Takes an adapter over, once it is certain that it fits.</summary>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    /// <exception cref="InvalidDataException">It belongs to another base.</exception>
    public void Add(string name, AdapterWeights weights, string source)
    {
        if (_adapters.ContainsKey(name))
        {
            throw new ArgumentException($"name: an adapter '{name}' is loaded already. Choose another name.", nameof(name));
        }

        weights.Verify(model, source);
        _adapters.Add(name, weights);
    }

    /// <exception cref="ArgumentException">There is none of this name; null is the base alone.</exception>
    public void Verify(string? name)
    {
        if (name is not null && !_adapters.ContainsKey(name))
        {
            string loaded = _adapters.Count == 0 ? "none" : NameList.Quoted(_adapters.Keys);
            throw new ArgumentException($"name is '{name}', and the adapters that are loaded are {loaded}. Load it first.", nameof(name));
        }
    }

    /// <summary>Puts an adapter in use, or none.</summary>
    /// <exception cref="ArgumentException">There is none of this name.</exception>
    public void Use(string? name)
    {
        PutInPlace(name);
        Active = name;
    }

    /// <summary>
    /// Makes the model compute with an adapter, or with none, whichever is in use: for what keeps its own while others change that.
    /// </summary>
    /// <exception cref="ArgumentException">There is none of this name.</exception>
    public void PutInPlace(string? name)
    {
        Verify(name);
        if (name == _inPlace)
        {
            return;
        }

        Restore();
        if (name is not null)
        {
            AdapterWeights weights = _adapters[name];
            ProjectionSlot[] slots = [.. model.Projections.Where(slot => weights.Tensors.ContainsKey(slot.Path))];
            _replaced.AddRange(slots.Select(slot => (slot, (Linear)slot.Module)));
            try
            {
                IEnumerable<AdapterTarget> targets = slots.Select(slot => new ProjectionTarget(slot, model.Type, keepsProjection: true));
                AdapterSet.Inject(targets, new SavedMethod(weights)).Merge(
                    savedType, $"The adapter '{name}' is damaged, or too large for {savedType}: write or fetch it again.");
            }
            catch
            {
                Restore();
                throw;
            }
        }

        _inPlace = name;
        KeptMemory.GiveBack();
    }

    public void Dispose()
    {
        // The model frees what is in its slots.
        foreach ((_, Linear linear) in _replaced)
        {
            linear.weight.Dispose();
        }

        foreach (AdapterWeights weights in _adapters.Values)
        {
            weights.Dispose();
        }
    }

    private void Restore()
    {
        _inPlace = null;
        foreach ((ProjectionSlot slot, Linear linear) in _replaced)
        {
            nn.Module<Tensor, Tensor> replaced = slot.Exchange(linear);
            if (replaced is Adapter unmerged)
            {
                unmerged.Free();
            }
            else if (replaced is Linear merged && !ReferenceEquals(merged, linear))
            {
                merged.weight.Dispose();
            }
        }

        _replaced.Clear();
    }

    /// <summary>What is put in is what was saved; nothing of it trains.</summary>
    private sealed class SavedMethod(AdapterWeights weights) : AdapterMethod
    {
        public override MethodDescriptor Method => weights.Method;

        public override Adapter Create(string path, Linear linear) => weights.Restore(path, linear);
    }
}
