using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Sweeps.Report;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>Trials that nobody trained.</summary>
internal static class SweepsReportData
{
    private static readonly SharedWork Shared = new()
    {
        Decompositions = 28,
        DecompositionsReused = 420,
        DecompositionTimeSaved = TimeSpan.FromSeconds(312.4),
        RowsTokenized = 1200,
        RowsReused = 18000,
        ModelLoadsSaved = 15,
    };

    private static readonly SweepOrigin Origin = new(
        "my-llama", "0123456789abcdef0123456789abcdef 77", 1100, 100, "fedcba9876543210fedcba98", FineTuningMethod.Sorsa, Seed: 7,
        TrainerSeed: 3, new DateTimeOffset(2026, 11, 26, 22, 16, 54, TimeSpan.FromHours(2)));

    public static SweepReport Report(
        SorsaSearchSpace space, IReadOnlyList<TrialResult> trials, bool isMaximized = false, string metric = "validation loss") =>
        new(new TrialHistory(trials, isMaximized), metric, space, Shared, StoppedByTime: false, Origin);

    /// <summary>
    /// Every third from the sixth on is pruned, the eleventh failed; methods but SORSA have no γ, and it's the values of the space, spread
    /// by the golden ratio, that decide the losses.
    /// </summary>
    public static IReadOnlyList<TrialResult> Trials(SorsaSearchSpace space, int count) => [.. Enumerable.Range(1, count).Select(id =>
    {
        double[] units = [.. Enumerable.Range(1, space.Count).Select(option => id * 0.618034 * option % 1)];
        int next = 0;
        OrderedDictionary<string, object?> parameters = space.Parameters((_, option) => option.FromUnitInterval(units[next++]));
        if (parameters.TryGetValue("Method", out object? method) && (string?)method != "Sorsa")
        {
            parameters.Remove("Gamma");
        }

        TrialState state = id == 11 ? TrialState.Failed : id > 5 && id % 3 == 0 ? TrialState.Pruned : TrialState.Completed;
        double end = 1.2 + units.Sum() / 10;
        CurvePoint[] curve = [.. Enumerable.Range(1, state == TrialState.Completed ? 8 : 2).Select(
            look => new CurvePoint(look * 25, end + Math.Exp(-look), parameters.ContainsKey("Gamma") ? look * 1e-4 : null))];
        return new TrialResult
        {
            TrialSettings = new TrialSettings(id, parameters),
            State = state,
            Curve = curve,
            Metric = state == TrialState.Completed ? curve[^1].Loss : null,
            Orthonormality = state == TrialState.Completed ? curve[^1].Orthonormality : null,
            Error = state == TrialState.Failed ? "The loss is NaN." : null,
            DurationInMilliseconds = 1500,
            Version = "0.2.0+abc",
        };
    })];
}
