using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Adapters;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace CompareMethods;

/// <summary>A row of the table: a method, and what else it sets.</summary>
/// <param name="Key">As on the command line.</param>
/// <param name="Title">As in the table.</param>
/// <param name="Method">The library's name of it.</param>
/// <param name="Configure">Sets what belongs to this row alone, given the steps of the run.</param>
internal sealed record MethodVariant(string Key, string Title, FineTuningMethod Method, Action<Options, int>? Configure = null)
{
    /// <summary>The peak learning rates that every method is tried with.</summary>
    public static IReadOnlyList<double> LearningRates { get; } = [1e-3, 3e-3, 1e-2, 3e-2];

    public static IReadOnlyList<MethodVariant> All { get; } =
    [
        new("sorsa", "SORSA", FineTuningMethod.Sorsa),
        new("sorsa-no-regularizer", "SORSA, no regularizer", FineTuningMethod.Sorsa, (options, _) => options.Gamma = 0),
        new("sorsa-hard", "SORSA, hard orthonormality", FineTuningMethod.Sorsa, (options, _) => options.HardOrthonormality = true),
        new("sorsa-trailing", "SORSA, trailing triplets", FineTuningMethod.Sorsa, (options, _) => options.Triplets = SingularTriplets.Trailing),
        new("lora", "LoRA", FineTuningMethod.Lora),
        new("rslora", "rsLoRA", FineTuningMethod.RsLora),
        new("pissa", "PiSSA", FineTuningMethod.Pissa),
        new("dora", "DoRA", FineTuningMethod.Dora),
        new("adalora", "AdaLoRA", FineTuningMethod.AdaLora, (options, steps) => options.RankBudget = Budget(steps)),
        new("qsorsa", "QSORSA (NF4)", FineTuningMethod.Sorsa, (options, _) => options.Quantization = BaseQuantization.NF4),
        new("qlora", "QLoRA (NF4)", FineTuningMethod.Lora, (options, _) => options.Quantization = BaseQuantization.NF4),
        new("partial", "partial (q, v)", FineTuningMethod.Partial, (options, _) => options.TargetModules = ["q_proj", "v_proj"]),
        new("full", "full", FineTuningMethod.Full),
    ];

    /// <summary>Whether it trains a low rank.</summary>
    public bool HasRank => Method is not (FineTuningMethod.Full or FineTuningMethod.Partial);

    public static MethodVariant? Find(string key) => All.FirstOrDefault(variant => variant.Key == key);

    /// <summary>Half of the triplets are left in the end: pruned between a fifth and three quarters of the run.</summary>
    private static RankBudget Budget(int steps) => new() { WarmupSteps = steps / 5, FinalSteps = steps / 4 };
}
