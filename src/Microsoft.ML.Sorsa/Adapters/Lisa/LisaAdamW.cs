using Microsoft.ML.Sorsa.Optimizers;
using TorchSharp.Modules;
using static TorchSharp.torch;
using AdamW = Microsoft.ML.Sorsa.Optimizers.AdamW;

namespace Microsoft.ML.Sorsa.Adapters.Lisa;

/// <summary>
/// LISA's layerwise importance sampled AdamW (arXiv 2403.17919, Algorithm 1): AdamW over the layers that are drawn and over what stands in
/// no layer. The other layers take no gradient, so that backward computes none for them, and have no moments.
/// </summary>
internal sealed class LisaAdamW : IOptimizer
{
    private readonly IReadOnlyList<IReadOnlyList<KeyValuePair<string, Parameter>>> _layers;
    private readonly AdamWSettings _settings;
    private readonly Func<int, IReadOnlyList<int>> _draw;
    private readonly AdamW? _always;
    private readonly SortedDictionary<int, AdamW> _drawn = [];

    /// <param name="layers">What trains of each decoder layer, by name; not owned.</param>
    /// <param name="always">What trains at every step, by name; not owned.</param>
    /// <param name="settings">β₁, β₂, ε and the weight decay.</param>
    /// <param name="draw">The layers that train at a step.</param>
    public LisaAdamW(
        IReadOnlyList<IReadOnlyList<KeyValuePair<string, Parameter>>> layers, IReadOnlyList<KeyValuePair<string, Parameter>> always,
        AdamWSettings settings, Func<int, IReadOnlyList<int>> draw)
    {
        (_layers, _settings, _draw) = (layers, settings, draw);
        _always = always.Count > 0 ? new AdamW(always, settings) : null;
        Prepare(0);
    }

    /// <summary>The layers that train now, ascending.</summary>
    public IEnumerable<int> DrawnLayers => _drawn.Keys;

    /// <summary>AdamW's of what always trains; AdamW's of each drawn layer, whose count of steps begins when it is drawn.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
    [
        .. _always?.State ?? [],
        .. from layer in _drawn
           from named in layer.Value.State
           select KeyValuePair.Create(FormattableString.Invariant($"layers.{layer.Key}.{named.Key}"), named.Value),
    ];

    /// <summary>At the beginning of an interval layers leave, others come with moments of zero, and those that stay keep theirs.</summary>
    public void Prepare(int step)
    {
        HashSet<int> drawn = [.. _draw(step)];
        foreach (int layer in _drawn.Keys.Where(layer => !drawn.Contains(layer)).ToArray())
        {
            _drawn[layer].Dispose();
            _drawn.Remove(layer);
        }

        for (int layer = 0; layer < _layers.Count; layer++)
        {
            bool trains = drawn.Contains(layer);
            foreach ((_, Parameter parameter) in _layers[layer])
            {
                parameter.requires_grad = trains;
            }

            if (trains && !_drawn.ContainsKey(layer))
            {
                _drawn.Add(layer, new AdamW(_layers[layer], _settings));
            }
        }
    }

    public void Step(double learningRate)
    {
        foreach (AdamW optimizer in Optimizers)
        {
            optimizer.Step(learningRate);
        }
    }

    public void ZeroGrad()
    {
        foreach (AdamW optimizer in Optimizers)
        {
            optimizer.ZeroGrad();
        }
    }

    public void Dispose()
    {
        foreach (AdamW optimizer in Optimizers)
        {
            optimizer.Dispose();
        }
    }

    private IEnumerable<AdamW> Optimizers => _always is null ? _drawn.Values : _drawn.Values.Prepend(_always);
}
