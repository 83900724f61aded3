using System.Globalization;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>What a sweep was made of, for the head of its report.</summary>
/// <param name="Model">The name of the model's folder.</param>
/// <param name="ModelFingerprint">The model by its content.</param>
/// <param name="TrainRows">Rows to train on.</param>
/// <param name="ValidationRows">Rows that compare the trials.</param>
/// <param name="DataFingerprint">The rows by their content.</param>
/// <param name="Method">The trainer's method, where it is not varied.</param>
/// <param name="Seed">The sweep's seed.</param>
/// <param name="TrainerSeed">The seed of every trial, where it is not varied.</param>
/// <param name="Begun">When the study was begun, as the study has it: the report has no clock, so that it comes out the same again.</param>
internal sealed record SweepOrigin(
    string Model, string ModelFingerprint, int TrainRows, int ValidationRows, string DataFingerprint, FineTuningMethod Method, int Seed,
    int TrainerSeed, DateTimeOffset? Begun)
{
    /// <summary>So many letters of a hash tell two of them apart.</summary>
    private const int HashLetters = 12;

    /// <summary>Names and texts, in the order to show.</summary>
    public IEnumerable<(string Name, string Text)> Facts(SweepReport report)
    {
        yield return ("Model", $"{Model} ({Short(ModelFingerprint)})");
        yield return ("Data", $"{NumberText.Count(TrainRows, "row")} to train on, {NumberText.Of(ValidationRows)} to compare by "
            + $"({Short(DataFingerprint)})");
        yield return ("Method", Varied(report, nameof(SorsaFineTuningTrainer.Options.Method)) ?? Method.ToString());
        yield return ("Seed", $"{NumberText.Of(Seed)} of the sweep, "
            + $"{Varied(report, nameof(SorsaFineTuningTrainer.Options.Seed)) ?? NumberText.Of(TrainerSeed)} of the trainings");
        yield return ("Begun", Begun is { } begun
            ? begun.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture)
            : "unknown: the study does not say");

        // As the study has it: trials of an earlier run may be another version's.
        string[] versions = [.. report.Trials.Select(trial => trial.Version.Split('+')[0]).Where(version => version.Length > 0).Distinct()];
        yield return ("Version", $"Microsoft.ML.Sorsa {(versions.Length == 0 ? NumberText.None : string.Join(", ", versions))}");
    }

    private static string Short(string hash) => hash.Length <= HashLetters ? hash : hash[..HashLetters];

    private static string? Varied(SweepReport report, string option) =>
        report.Option(option) is { } values ? $"varied, {values.Description}" : null;
}
