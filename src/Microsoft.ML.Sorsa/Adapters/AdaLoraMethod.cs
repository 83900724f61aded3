using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>AdaLoRA: an update in the form of an SVD, kept orthonormal by a penalty in the loss, its triplets pruned to a budget.</summary>
internal sealed class AdaLoraMethod : AdapterMethod
{
    private IReadOnlyList<bool[]> _kept = [];

    /// <summary>The triplets of every projection at the start.</summary>
    public required int Rank { get; init; }

    /// <summary>α; c = α / (r + 1e-5).</summary>
    public required double Alpha { get; init; }

    /// <summary>γ, the weight of the penalty.</summary>
    public required double Gamma { get; init; }

    public required RankBudget Budget { get; init; }

    /// <summary>The steps of the run.</summary>
    public required int TotalSteps { get; init; }

    /// <summary>Where P and Q are drawn from; on the CPU.</summary>
    public required Generator Initialization { get; init; }

    public double Scale => Alpha / (Rank + 1e-5);

    public override OrthonormalityPenalty? Penalty => Gamma > 0 ? new OrthonormalityPenalty(Gamma, Mean: true, InLoss: true) : null;

    public override Adapter Create(string path, Linear linear)
    {
        // As in PEFT; Λ = 0 makes the first output the projection's own.
        const double Deviation = 0.02;
        (long rows, long columns) = (linear.weight.shape[0], linear.weight.shape[1]);
        Tensor a = AdapterStart.Normal([Rank, columns], Deviation, linear.weight, Initialization);
        Tensor b = AdapterStart.Normal([rows, Rank], Deviation, linear.weight, Initialization);
        Tensor e = AdapterStart.Zeros([Rank, 1], linear.weight);
        (FrozenWeight frozen, QuantizationError? error) = Freeze(linear);
        return new AdaLoraLinear(frozen, a, e, b, linear.bias, Scale, this) { QuantizationError = error };
    }

    public override void AfterStep(IReadOnlyList<Adapter> adapters, int step)
    {
        AdaLoraLinear[] pruned = [.. adapters.OfType<AdaLoraLinear>()];
        int last = TotalSteps - Budget.FinalSteps;
        if (step < last)
        {
            foreach (AdaLoraLinear adapter in pruned)
            {
                adapter.Watch(Budget.Beta1, Budget.Beta2);
            }
        }

        if (step == last || (step < last && step > Budget.WarmupSteps && step % Budget.Interval == 0))
        {
            _kept = Kept(pruned, step);
        }
        else if (step < last)
        {
            return;
        }

        foreach ((AdaLoraLinear adapter, bool[] kept) in pruned.Zip(_kept))
        {
            adapter.Prune(kept);
        }
    }

    /// <summary>What is left: as many as the budget allows, of all projections together; ties with the last one that goes go with it.</summary>
    private IReadOnlyList<bool[]> Kept(AdaLoraLinear[] adapters, int step)
    {
        double[][] scores = [.. adapters.Select(adapter => adapter.Scores())];
        double[] sorted = [.. scores.SelectMany(score => score).Order()];
        int target = adapters.Length * (Budget.TargetRank ?? (Rank + 1) / 2);
        int gone = sorted.Length - Budget.At(step, TotalSteps, sorted.Length, target);
        double threshold = gone > 0 ? sorted[gone - 1] : double.NegativeInfinity;
        return [.. scores.Select(score => score.Select(value => value > threshold).ToArray())];
    }
}
