using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Weights;
using Microsoft.ML.Sorsa.Optimizers;
using TorchSharp.Modules;

namespace Microsoft.ML.Sorsa.Adapters.GaLore;

/// <summary>
/// GaLore: fine-tuning of the weights themselves, whose optimizer has its moments in a projection of the gradients of low rank.
/// </summary>
internal sealed class GaLoreMethod : AdapterMethod
{
    public static MethodDescriptor Descriptor { get; } = new()
    {
        Method = FineTuningMethod.GaLore,
        Name = "galore",
        DefaultLearningRate = 2e-3,
        Options = MethodOptions.TargetModules | MethodOptions.Rank | MethodOptions.GradientProjection,
        TrainsEveryWeight = settings => !settings.GradientProjectionOrDefault.TargetsOnly,
        TargetsAlone = $"Set {nameof(GradientProjection)}.{nameof(GradientProjection.TargetsOnly)}",
        IsOptimizer = true,
        CutsRank = true,
        Create = (settings, run) => new GaLoreMethod
        {
            Rank = settings.RankOrDefault,
            Projection = settings.GradientProjectionOrDefault,
            Seed = run.Seed,
        },
        Memory = Memory,
    };

    public override MethodDescriptor Method => Descriptor;

    public override bool TrainsEveryWeight => !Projection.TargetsOnly;

    /// <summary>r; of a matrix whose smaller side is shorter that side.</summary>
    public required int Rank { get; init; }

    /// <summary>T and α.</summary>
    public required GradientProjection Projection { get; init; }

    /// <summary>What decides every bit of a randomised decomposition.</summary>
    public required long Seed { get; init; }

    public override Adapter Create(string path, Linear linear) => TrainedLinear.Of(linear, trainsBias: TrainsEveryWeight);

    public override IOptimizer CreateOptimizer(
        IReadOnlyList<KeyValuePair<string, Parameter>> trained, IReadOnlyList<Adapter> adapters, AdamWSettings settings)
    {
        HashSet<Parameter> targets = [.. adapters.OfType<TrainedLinear>().Select(adapter => adapter.W)];
        ILookup<bool, KeyValuePair<string, Parameter>> byTarget = trained.ToLookup(named => targets.Contains(named.Value));
        return new GaLoreAdamW([.. byTarget[true]], [.. byTarget[false]], settings, Projection, Rank, Seed);
    }

    private static AdapterMemory Memory(MethodSettings settings, AdaptedShape shape)
    {
        long rank = Math.Min(settings.RankOrDefault, Math.Min(shape.Out, shape.In));
        long projected = rank * Math.Max(shape.Out, shape.In), projector = rank * Math.Min(shape.Out, shape.In);
        long update = 2 * projected * AdaptedShape.TrainedSize;
        return WeightMethod.Memory(settings, shape) with
        {
            Moments = (2 * projected) + projector,
            AfterStep = Math.Max(
                update,
                TruncatedSvd.IsRandomizedCheaper(Math.Min(shape.Out, shape.In), (int)rank)
                    ? TruncatedSvd.Working(shape, (int)rank, isExact: false)
                    : GesddVectors.Working(shape)),
        };
    }
}
