using System.Globalization;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.AdaLora;

/// <summary>AdaLoRA: an update in the form of an SVD, kept orthonormal by a penalty in the loss, its triplets pruned to a budget.</summary>
internal sealed class AdaLoraMethod : AdapterMethod
{
    public static MethodDescriptor Descriptor { get; } = new()
    {
        Method = FineTuningMethod.AdaLora,
        Name = "adalora",
        DefaultLearningRate = 2e-2,
        Options = MethodOptions.LowRank | MethodOptions.Gamma | MethodOptions.RankBudget,
        DefaultGamma = 0.5,
        NeedsTotalSteps = true,
        Create = Create,
        Memory = Memory,
        Tensors = [AdapterTensor.LoraA, new("lora_E", Axis.Rank, Axis.One), AdapterTensor.LoraB],
        Restore = saved => new AdaLoraLinear(
            saved.Freeze(), saved.Copy("lora_A"), saved.Copy("lora_E"), saved.Copy("lora_B"), saved.Bias, saved.Scale),
    };

    public override MethodDescriptor Method => Descriptor;

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
        return new AdaLoraLinear(frozen, a, e, b, linear.bias, Scale) { Dropout = Dropout, QuantizationError = error };
    }

    public override void AfterStep(IReadOnlyList<Adapter> adapters, int step)
    {
        AdaLoraLinear[] pruned = [.. adapters.OfType<AdaLoraLinear>()];
        int last = TotalSteps - Budget.FinalSteps;
        if (step < last)
        {
            foreach (AdaLoraLinear adapter in pruned)
            {
                adapter.UpdateImportance(Budget.Beta1, Budget.Beta2);
            }
        }

        if (step == last || (step < last && step > Budget.WarmupSteps && step % Budget.Interval == 0))
        {
            foreach ((AdaLoraLinear adapter, bool[] kept) in pruned.Zip(ChooseKept(pruned, step)))
            {
                adapter.Prune(kept);
            }
        }
        else if (step > last)
        {
            // What was pruned at last stays pruned.
            Array.ForEach(pruned, adapter => adapter.Prune());
        }
    }

    private static AdapterMemory Memory(MethodSettings settings, AdaptedShape shape)
    {
        AdapterMemory lora = AdapterMemory.LowRank(settings, shape);
        long rank = settings.RankOrDefault, trained = lora.Trained + rank;
        return lora with
        {
            // Two running means of everything that trains, and which triplets stay.
            Trained = trained,
            Kept = ((2 * trained) + rank) * AdaptedShape.TrainedSize,
            Factors = lora.Trained * AdaptedShape.TrainedSize,
            AfterStep = 4 * trained * AdaptedShape.TrainedSize,
            Saved = trained * AdaptedShape.TrainedSize,
        };
    }

    private static AdaLoraMethod Create(MethodSettings settings, MethodRun run)
    {
        RankBudget budget = settings.RankBudget ?? new RankBudget();
        if (budget.WarmupSteps + budget.FinalSteps >= run.TotalSteps)
        {
            string values = string.Create(CultureInfo.InvariantCulture,
                $"RankBudget.WarmupSteps is {budget.WarmupSteps} and RankBudget.FinalSteps {budget.FinalSteps}");
            string limit = string.Create(CultureInfo.InvariantCulture,
                $"together they must be below the {run.TotalSteps} steps of this run, so that there is time to prune");
            throw new ArgumentException($"{values}; {limit}. Lower them, or train for more steps.", nameof(settings));
        }

        return new AdaLoraMethod
        {
            Rank = settings.RankOrDefault,
            Alpha = settings.Alpha ?? settings.RankOrDefault,
            Gamma = settings.Gamma ?? Descriptor.DefaultGamma,
            Budget = budget,
            TotalSteps = run.TotalSteps,
            Initialization = run.Initialization,
            Dropout = run.InputDropout(settings),
            Quantized = settings.IsQuantized,
        };
    }

    /// <summary>
    /// Which triplets stay: as many as the budget allows, of all projections together; ties with the last one that goes go with it.
    /// </summary>
    private IReadOnlyList<bool[]> ChooseKept(AdaLoraLinear[] adapters, int step)
    {
        double[][] scores = [.. adapters.Select(adapter => adapter.Scores())];
        double[] sorted = [.. scores.SelectMany(score => score).Order()];
        int target = adapters.Length * (Budget.TargetRank ?? (Rank + 1) / 2);
        int gone = sorted.Length - Budget.At(step, TotalSteps, sorted.Length, target);
        double threshold = gone > 0 ? sorted[gone - 1] : double.NegativeInfinity;
        return [.. scores.Select(score => score.Select(value => value > threshold).ToArray())];
    }
}
