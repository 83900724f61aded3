using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Adapters;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace CompareMethods;

/// <summary>A row of the table: a method, and what else it sets.</summary>
/// <param name="Key">As on the command line.</param>
/// <param name="Title">As in the table.</param>
/// <param name="Method">The library's name of it.</param>
/// <param name="LearningRates">
/// The peak learning rates that it is tried with, around where methods of its kind do best in 40 steps; the library's defaults are lower,
/// for longer runs.
/// </param>
/// <param name="Configure">Sets what belongs to this row alone, given the steps of the run.</param>
internal sealed record MethodVariant(
    string Key, string Title, FineTuningMethod Method, double[] LearningRates, Action<Options, int>? Configure = null)
{
    public static IReadOnlyList<MethodVariant> All { get; } =
    [
        new("sorsa", "SORSA", FineTuningMethod.Sorsa, [1e-3, 2e-3, 5e-3, 1e-2]),
        new("sorsa-no-regularizer", "SORSA, no regularizer", FineTuningMethod.Sorsa, [1e-3, 2e-3, 5e-3, 1e-2],
            (options, _) => options.Gamma = 0),
        new("sorsa-hard", "SORSA, hard orthonormality", FineTuningMethod.Sorsa, [1e-3, 2e-3, 5e-3, 1e-2],
            (options, _) => options.HardOrthonormality = true),
        new("sorsa-trailing", "SORSA, trailing triplets", FineTuningMethod.Sorsa, [5e-3, 1e-2, 2e-2, 5e-2],
            (options, _) => options.Triplets = SingularTriplets.Trailing),
        new("lora", "LoRA", FineTuningMethod.Lora, [5e-3, 1e-2, 2e-2, 5e-2]),
        new("rslora", "rsLoRA", FineTuningMethod.RsLora, [2e-3, 5e-3, 1e-2, 2e-2]),
        new("pissa", "PiSSA", FineTuningMethod.Pissa, [1e-3, 2e-3, 5e-3, 1e-2]),
        new("dora", "DoRA", FineTuningMethod.Dora, [5e-3, 1e-2, 2e-2, 5e-2]),
        new("adalora", "AdaLoRA", FineTuningMethod.AdaLora, [2e-2, 5e-2, 1e-1, 2e-1],
            (options, steps) => options.RankBudget = Budget(steps)),
        new("qsorsa", "QSORSA (NF4)", FineTuningMethod.Sorsa, [1e-3, 2e-3, 5e-3, 1e-2],
            (options, _) => options.Quantization = BaseQuantization.NF4),
        new("qlora", "QLoRA (NF4)", FineTuningMethod.Lora, [5e-3, 1e-2, 2e-2, 5e-2],
            (options, _) => options.Quantization = BaseQuantization.NF4),
        new("partial", "partial (q, v)", FineTuningMethod.Partial, [5e-3, 1e-2, 2e-2, 5e-2],
            (options, _) => options.TargetModules = ["q_proj", "v_proj"]),
        new("full", "full", FineTuningMethod.Full, [2e-4, 5e-4, 1e-3, 2e-3]),
        // Projectors and layers change some times in a run, as they do in a long one.
        new("galore", "GaLore", FineTuningMethod.GaLore, [1e-3, 2e-3, 5e-3, 1e-2],
            (options, steps) => options.GradientProjection = new GradientProjection { UpdateSteps = Math.Clamp(steps / 4, 1, 200) }),
        new("lisa", "LISA (2 layers)", FineTuningMethod.Lisa, [5e-4, 1e-3, 2e-3, 5e-3],
            (options, steps) => options.LayerSampling = new LayerSampling { IntervalSteps = Math.Clamp(steps / 8, 1, 20) }),
    ];

    /// <summary>Whether it trains a low rank.</summary>
    public bool HasRank => new Options { Method = Method }.HasEffect(nameof(Options.Rank));

    public static MethodVariant? Find(string key) => All.FirstOrDefault(variant => variant.Key == key);

    /// <summary>Half of the triplets are left in the end: pruned between a fifth and three quarters of the run.</summary>
    private static RankBudget Budget(int steps) => new() { WarmupSteps = steps / 5, FinalSteps = steps / 4 };
}
