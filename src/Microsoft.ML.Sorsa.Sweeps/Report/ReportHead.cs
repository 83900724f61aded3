using System.Globalization;
using System.Xml.Linq;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>The list at the top: model, data, method, seeds, date and version.</summary>
internal static class ReportHead
{
    /// <summary>So many letters of a hash tell two of them apart.</summary>
    private const int HashLetters = 12;

    public static XElement Of(SweepReport report) => new("dl", Facts(report, report.Origin).Select(fact => new[]
    {
        new XElement("dt", fact.Name), new XElement("dd", PlainText.Of(fact.Text)),
    }));

    private static IEnumerable<(string Name, string Text)> Facts(SweepReport report, SweepOrigin origin)
    {
        yield return ("Model", $"{origin.Model} ({Short(origin.ModelFingerprint)})");
        yield return ("Data", $"{NumberText.Count(origin.TrainRows, "row")} to train on, "
            + $"{NumberText.Of(origin.ValidationRows)} to compare by ({Short(origin.DataFingerprint)})");
        yield return ("Method", Varied(report, nameof(SorsaFineTuningTrainer.Options.Method)) ?? origin.Method.ToString());
        yield return ("Seed", $"{NumberText.Of(origin.Seed)} of the sweep, "
            + $"{Varied(report, nameof(SorsaFineTuningTrainer.Options.Seed)) ?? NumberText.Of(origin.TrainerSeed)} of the trainings");
        yield return ("Begun", origin.Begun is { } begun
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
