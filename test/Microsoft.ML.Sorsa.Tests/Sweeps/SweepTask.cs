using System.Globalization;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Sweeps;
using QuickStart;
using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>A sweep over the bundled model that is as short as one can be.</summary>
internal static class SweepTask
{
    private static readonly IReadOnlyList<(string Question, string Answer)> s_rows =
        ArithmeticTask.Load(TestData.TinyLlama).Draw(60, seed: 5);

    public static MLContext Context { get; } = new();

    public static IDataView Train { get; } = Data(s_rows.Take(48));

    public static IDataView Validation { get; } = Data(s_rows.Skip(48));

    /// <summary>Twelve steps of four rows.</summary>
    public static Options Trainer => new()
    {
        ModelFolder = TestData.TinyLlama,
        PromptTemplate = PromptTemplate.Format(PromptTemplate.Alpaca + "\n"),
        Rank = 4,
        BatchSize = 4,
        LearningRate = 5e-3,
        Generation = new() { MaxNewTokens = 8 },
    };

    public static SorsaSearchSpace Space => new()
    {
        ["Gamma"] = new ChoiceOption(0.0, 4e-4, 1e-2),
        ["Rank"] = new UniformIntOption(2, 16, logBase: true),
        ["LearningRate"] = new UniformDoubleOption(1e-4, 2e-2, logBase: true),
    };

    public static SorsaExperiment Experiment => Context.Sorsa()
        .CreateExperiment()
        .SetTrainer(Trainer)
        .SetDataset(Train, Validation)
        .SetSearchSpace(Space)
        .SetMaxModelToExplore(6)
        .SetThreadsPerTrial(1);

    /// <summary>All of a trial that must be the same whoever runs it, when, and how often: not its duration.</summary>
    public static string Line(TrialResult trial) => string.Create(CultureInfo.InvariantCulture,
        $"{trial.TrialSettings.TrialId} " +
        $"{string.Join(' ', trial.TrialSettings.Parameters.Select(parameter => $"{parameter.Key}={ParameterText.Of(parameter.Value)}"))} " +
        $"{trial.State} {trial.Metric:R} {trial.Orthonormality:R} {trial.Error} " +
        $"{string.Join(' ', trial.Curve.Select(point => $"{point.Step}:{point.Loss:R}:{point.Orthonormality:R}"))}");

    private static IDataView Data(IEnumerable<(string Question, string Answer)> rows) =>
        Context.Data.LoadFromEnumerable(rows.Select(row => new Row { Prompt = row.Question, Response = row.Answer }));

    internal sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }
}
