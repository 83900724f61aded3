using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Quantization;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// What the adapter of one projection takes while it trains, in bytes where nothing else is said: a method's part of the estimate of
/// memory, which its <see cref="MethodDescriptor"/> gives for every shape.
/// </summary>
internal sealed record AdapterMemory
{
    /// <summary>Values that train. Each has a gradient.</summary>
    public required long Trained { get; init; }

    /// <summary>Values that the optimizer keeps of it; null: two moments of each value that trains.</summary>
    public long? Moments { get; init; }

    /// <summary>Tensors that stay beside what trains: what training started from, running means.</summary>
    public long Kept { get; init; }

    /// <summary>What becomes of the projection's own weight.</summary>
    public FrozenForm Frozen { get; init; }

    /// <summary>What forward makes of the trained tensors and keeps for backward, however many tokens there are.</summary>
    public long Factors { get; init; }

    /// <summary>What forward keeps for backward, for each token, beside the projection's input and its output.</summary>
    public long PerToken { get; init; }

    /// <summary>What lives while the projection is computed, and is gone behind it.</summary>
    public long Working { get; init; }

    /// <summary>What lives behind a step, while the method does its own part of it, or its optimizer.</summary>
    public long AfterStep { get; init; }

    /// <summary>What lives while the adapter is made.</summary>
    public long Start { get; init; }

    /// <summary>What a file of the adapter holds, of which there is a copy once training is over; 0 for methods without one.</summary>
    public long Saved { get; init; }

    /// <summary>A product of rank r beside a weight that stays, as <see cref="LowRankFunction"/> computes it: LoRA's numbers.</summary>
    public static AdapterMemory LowRank(MethodSettings settings, AdaptedShape shape)
    {
        long rank = settings.RankOrDefault, trained = rank * (shape.Out + shape.In);
        long casts = shape.IsNarrow && !shape.IsWidened ? trained * shape.TypeSize : 0;

        // libtorch's own gradients keep the factors as they were multiplied; those by hand keep them as they are, and cast them anew.
        bool keepsCasts = casts > 0 && !settings.IsQuantized && settings.Dropout == 0;
        long scaled = rank * shape.Out * AdaptedShape.TrainedSize;
        return new AdapterMemory
        {
            Trained = trained,
            Frozen = settings.IsQuantized ? FrozenForm.Nf4 : FrozenForm.Itself,
            Factors = keepsCasts ? casts : scaled,
            PerToken = (rank * shape.ProductSize) + (settings.Dropout > 0 ? shape.In * shape.TypeSize : 0),
            Working = (keepsCasts ? scaled : casts) + (settings.IsQuantized || shape.IsWidened ? shape.Count * shape.ProductSize : 0),
            Start = settings.IsQuantized ? Nf4Weight.QuantizingWorking(shape) : 0,
            Saved = trained * AdaptedShape.TrainedSize,
        };
    }

    /// <summary>The same where the weight loses what training starts from, which stays beside it: SORSA and PiSSA.</summary>
    public static AdapterMemory PrincipalPart(MethodSettings settings, AdaptedShape shape)
    {
        AdapterMemory lowRank = LowRank(settings, shape);
        long start = lowRank.Trained * AdaptedShape.TrainedSize;
        return lowRank with
        {
            Kept = start,
            Frozen = settings.IsQuantized ? FrozenForm.Nf4 : FrozenForm.Residual,
            Start = Math.Max(PrincipalSplit.Working(
                shape, settings.RankOrDefault, settings.Triplets == SingularTriplets.Leading, settings.IsQuantized), lowRank.Start),
            Saved = lowRank.Saved + start,
        };
    }
}

/// <summary>What becomes of a projection's weight beside an adapter.</summary>
internal enum FrozenForm
{
    /// <summary>It stays, wherever it is: mapped from a file, or shared.</summary>
    Itself,

    /// <summary>Another one of its type takes its place.</summary>
    Residual,

    /// <summary>It is kept in NF4.</summary>
    Nf4,
}
