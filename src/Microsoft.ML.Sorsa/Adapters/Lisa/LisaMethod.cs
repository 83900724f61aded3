using Microsoft.ML.Sorsa.Adapters.Weights;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Optimizers;
using TorchSharp.Modules;

namespace Microsoft.ML.Sorsa.Adapters.Lisa;

/// <summary>LISA: full fine-tuning of a few layers at a time, drawn anew every K steps, and of embeddings, last norm and head.</summary>
internal sealed class LisaMethod : AdapterMethod
{
    public static MethodDescriptor Descriptor { get; } = new()
    {
        Method = FineTuningMethod.Lisa,
        Name = "lisa",
        DefaultLearningRate = 5e-4,
        Options = MethodOptions.LayerSampling,
        TrainsEveryWeight = _ => true,
        IsOptimizer = true,
        LayersAtATime = (settings, layers) => settings.LayerSamplingOrDefault.CountOf(layers),
        Create = (settings, run) => new LisaMethod { Sampling = settings.LayerSamplingOrDefault, Seed = run.Seed },
        Memory = WeightMethod.Memory,
    };

    public override MethodDescriptor Method => Descriptor;

    public override bool TrainsEveryWeight => true;

    /// <summary>γ and K.</summary>
    public required LayerSampling Sampling { get; init; }

    /// <summary>What decides the draws.</summary>
    public required long Seed { get; init; }

    public override Adapter Create(string path, Linear linear) => TrainedLinear.Of(linear, trainsBias: true);

    public override IOptimizer CreateOptimizer(
        IReadOnlyList<KeyValuePair<string, Parameter>> trained, IReadOnlyList<Adapter> adapters, AdamWSettings settings)
    {
        ILookup<int?, KeyValuePair<string, Parameter>> byLayer = trained.ToLookup(named => Decoder.LayerOf(named.Key));
        int count = byLayer.Max(layer => layer.Key) + 1 ?? 0;
        KeyValuePair<string, Parameter>[][] layers = [.. Enumerable.Range(0, count).Select(layer => byLayer[layer].ToArray())];
        return new LisaAdamW(layers, [.. byLayer[null]], settings, step => Sampling.At(step, Seed, count));
    }
}
