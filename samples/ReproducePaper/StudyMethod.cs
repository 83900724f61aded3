using CompareMethods;
using Microsoft.ML.Sorsa;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace ReproducePaper;

/// <summary>A row of Table 1: a method, and what else it sets.</summary>
/// <param name="Key">As on the command line and in the files.</param>
/// <param name="Title">As in the report.</param>
/// <param name="Method">The library's name of it.</param>
/// <param name="LearningRate">
/// Where the search begins on the bundled task: about the best of CompareMethods' table in docs/measurements.md. From there it goes down
/// and up.
/// </param>
/// <param name="Configure">Sets what belongs to this row alone, given the steps of the run.</param>
internal sealed record StudyMethod(
    string Key, string Title, FineTuningMethod Method, double LearningRate, Action<Options, int>? Configure = null)
{
    public const string Sorsa = "sorsa", NoRegularizer = "sorsa-no-regularizer", Hard = "sorsa-hard", Lora = "lora", Pissa = "pissa",
        AdaLora = "adalora", Full = "full", Partial = "partial";

    /// <summary>Not a method: the model as it was.</summary>
    public static StudyMethod Base { get; } = new("base", "before", default, 0);

    /// <summary>The same in float32, where the others compute in another type.</summary>
    public static StudyMethod BaseInFloat32 { get; } = new("base-float32", "before, in float32", default, 0);

    public static IReadOnlyList<StudyMethod> All { get; } =
    [
        Of(Sorsa, "SORSA", 2e-3), Of(NoRegularizer, "SORSA, γ = 0", 2e-3), Of(Hard, "SORSA, hard orthonormality", 2e-3),
        Of(Pissa, "PiSSA", 5e-3), Of(Lora, "LoRA", 1e-2), Of("rslora", "rsLoRA", 5e-3), Of("dora", "DoRA", 1e-2),
        Of(AdaLora, "AdaLoRA", 5e-2), Of(Full, "full", 1e-3),

        // Of all targets, as in the paper's figure; CompareMethods trains two of them.
        new(Partial, "partial", FineTuningMethod.Partial, 1e-3),
        Of("galore", "GaLore", 5e-3), Of("lisa", "LISA", 1e-3),
    ];

    /// <summary>Whether it has a rank.</summary>
    public bool HasRank => new Options { Method = Method }.HasEffect(nameof(Options.Rank));

    /// <summary>Whether it trains embeddings and norms, too, which the library does in float32 alone.</summary>
    public bool TrainsEveryWeight => Method is FineTuningMethod.Full or FineTuningMethod.GaLore or FineTuningMethod.Lisa;

    /// <summary>Whether γ can be set.</summary>
    public bool HasGamma => Key == Sorsa;

    public static StudyMethod? Find(string key) => All.Concat([Base, BaseInFloat32]).FirstOrDefault(method => method.Key == key);

    /// <summary>Those that a list names, in the table's order.</summary>
    /// <exception cref="ArgumentException">One of them is none, or the list is empty.</exception>
    public static IReadOnlyList<string> Keys(string list)
    {
        string[] named = list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        string[] unknown = [.. named.Where(key => All.All(method => method.Key != key))];
        return named.Length > 0 && unknown.Length == 0
            ? [.. All.Select(method => method.Key).Where(named.Contains)]
            : throw new ArgumentException(
                (named.Length == 0 ? "--methods names none" : $"--methods has '{string.Join(", ", unknown)}', which is none")
                + "; name some of "
                + $"{string.Join(", ", All.Select(method => method.Key))}.");
    }

    /// <summary>A row of CompareMethods' table, with another title and one rate to begin with.</summary>
    private static StudyMethod Of(string key, string title, double learningRate)
    {
        MethodVariant variant = MethodVariant.Find(key)!;
        return new StudyMethod(key, title, variant.Method, learningRate, variant.Configure);
    }
}
