using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Tensors;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// Which decoder layers LISA trains at a time (Pan et al., arXiv 2403.17919): some that are drawn, all of them with the same probability,
/// for an interval of steps. Embeddings, the last norm and the head train at every step. The defaults are those of the authors' code.
/// </summary>
public sealed record LayerSampling
{
    /// <summary>Layers where <see cref="Layers"/> is null.</summary>
    internal const int DefaultLayers = 2;

    /// <summary>
    /// γ, the layers that train at a time. Default null: 2, or 1 of a model of one layer; from 1 to the model's layers.
    /// </summary>
    [OptionRange(1, int.MaxValue, "Leave it null for 2, as the authors do")]
    public int? Layers { get; init; }

    /// <summary>
    /// K, the steps of an interval: the layers are drawn anew before each step, counted from 0, that K divides. A layer that is not drawn
    /// again loses AdamW's moments. Default 20; at least 1.
    /// </summary>
    [OptionRange(1, int.MaxValue, "Use 20, as the authors do")]
    public int IntervalSteps { get; init; } = 20;

    /// <summary>γ of a model of so many layers.</summary>
    internal int CountOf(int layers) => Layers ?? Math.Min(DefaultLayers, layers);

    /// <summary>
    /// The layers that train at a step, ascending; they follow from it and the seed alone, so that a run that is resumed draws the same.
    /// </summary>
    /// <param name="step">Counted from 0.</param>
    /// <param name="seed">The run's.</param>
    /// <param name="layers">The model's layers.</param>
    internal IReadOnlyList<int> At(int step, long seed, int layers)
    {
        ulong state = SplitMix64.Mix(SplitMix64.Mix(unchecked((ulong)seed)) + ((ulong)(step / IntervalSteps) * SplitMix64.Step));
        int[] order = [.. Enumerable.Range(0, layers)];
        int count = CountOf(layers);
        for (int i = 0; i < count; i++)
        {
            state += SplitMix64.Step;
            int chosen = i + (int)Math.BigMul(SplitMix64.Mix(state), (ulong)(layers - i), out _);
            (order[i], order[chosen]) = (order[chosen], order[i]);
        }

        return [.. order[..count].Order()];
    }
}
