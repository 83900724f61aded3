using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.AdaLora;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Dora;
using Microsoft.ML.Sorsa.Adapters.Lora;
using Microsoft.ML.Sorsa.Adapters.Pissa;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Adapters.Weights;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>A method whose step is timed.</summary>
/// <param name="Name">As on the command line.</param>
/// <param name="Rank">r; null where there is none.</param>
/// <param name="Limit">What a step may cost, as a multiple of the base's; null: only measured.</param>
/// <param name="Targets">The adapted projections; empty: all.</param>
/// <param name="Create">Makes it, from the generator of its start and the steps of the run.</param>
internal sealed record StepVariant(
    string Name, int? Rank, double? Limit, string[] Targets, Func<torch.Generator, int, AdapterMethod> Create)
{
    private const double Gamma = 4e-4;

    public static IReadOnlyList<StepVariant> All { get; } =
    [
        Sorsa(16) with { Limit = 1.20 },
        Sorsa(64),
        Sorsa(16, quantized: true),
        Lora(16) with { Limit = 1.17 },
        Of("LoRA-drop", null, (start, _) => new LoraMethod
        {
            Rank = 16,
            Scale = 1,
            Initialization = start,
            Dropout = new InputDropout(0.1, seed: 0),
        }),
        Of("QLoRA", null, (start, _) => new LoraMethod { Rank = 16, Scale = 1, Initialization = start, Quantized = true }),
        Of("PiSSA", 1.17, (start, _) => new PissaMethod { Rank = 16, Decomposition = Decomposition.Drawn(start) }),
        Dora(16) with { Limit = 1.5 },
        Of("AdaLoRA", 1.35,
            (start, steps) => new AdaLoraMethod
            {
                Rank = 16,
                Alpha = 16,
                Gamma = 0.5,
                Budget = new RankBudget(),
                TotalSteps = steps,
                Initialization = start
            }),
        new("partial", null, null, ["q_proj", "v_proj"], (_, _) => new WeightMethod { Everything = false }),
        new("full", null, 1.79, [], (_, _) => new WeightMethod { Everything = true }),
    ];

    /// <summary>The methods of these names; all where there are none.</summary>
    public static StepVariant[] Named(string[] names)
    {
        string[] unknown = [.. names.Where(name => !All.Any(variant => IsNamed(variant, name)))];
        return unknown.Length == 0
            ? [.. All.Where(variant => names.Length == 0 || names.Any(name => IsNamed(variant, name)))]
            : throw new ArgumentException(
                $"There is no method {string.Join(", ", unknown)}; name some of " +
                $"{string.Join(", ", All.Select(variant => variant.Name).Distinct())}.", nameof(names));

        static bool IsNamed(StepVariant variant, string name) => variant.Name.Equals(name, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>SORSA, or QSORSA.</summary>
    public static StepVariant Sorsa(int rank, bool quantized = false) =>
        new(quantized ? "QSORSA" : "SORSA", rank, null, [],
            (start, _) => new SorsaMethod
            {
                Rank = rank,
                Gamma = Gamma,
                Decomposition = Decomposition.Drawn(start),
                Quantized = quantized
            });

    public static StepVariant Lora(int rank) =>
        new("LoRA", rank, null, [], (start, _) => new LoraMethod { Rank = rank, Scale = 1, Initialization = start });

    public static StepVariant Dora(int rank) =>
        new("DoRA", rank, null, [], (start, _) => new DoraMethod { Rank = rank, Scale = 1, Initialization = start });

    private static StepVariant Of(string name, double? limit, Func<torch.Generator, int, AdapterMethod> create) =>
        new(name, 16, limit, [], create);
}
