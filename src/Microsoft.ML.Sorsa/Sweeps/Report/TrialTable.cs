using System.Globalization;
using System.Xml.Linq;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>A row per trial.</summary>
internal static class TrialTable
{
    public static XElement Of(SweepReport report)
    {
        string[] options = [.. report.Space.Select(option => option.Key)];
        string[] headings = ["Trial", "State", .. options, report.MetricName, "L_reg", "Steps", "Seconds"];
        return new XElement("table",
            new XElement("thead", new XElement("tr", headings.Select(heading => new XElement("th", PlainText.Of(heading))))),
            new XElement("tbody", report.Trials.SelectMany(trial => Rows(report, trial, options, headings.Length))));
    }

    private static IEnumerable<XElement> Rows(SweepReport report, TrialResult trial, string[] options, int columns)
    {
        string kind = trial == report.Best ? "best" : trial.State.ToString().ToLowerInvariant();
        yield return new XElement("tr", new XAttribute("class", kind),
            Cell(NumberText.Of(trial.TrialSettings.TrialId)),
            new XElement("td", trial == report.Best ? "Best" : trial.State.ToString()),
            options.Select(name => new XElement("td", new XAttribute("class", "value"), trial.TrialSettings.Parameters.TryGetValue(name, out object? value) ? PlainText.Of(ParameterText.Of(value)) : NumberText.None)),
            Cell(NumberText.Of(trial.Metric), trial.Metric),
            Cell(NumberText.Of(OrthonormalityFigure.LastOf(trial)), OrthonormalityFigure.LastOf(trial)),
            Cell(trial.Curve.Count == 0 ? NumberText.None : NumberText.Of(trial.Curve[^1].Step)),
            Cell((trial.DurationInMilliseconds / 1000).ToString("F1", CultureInfo.InvariantCulture)));
        if (trial.Error is not null)
        {
            yield return new XElement("tr", new XAttribute("class", "error"), new XElement("td", ""), new XElement("td", new XAttribute("colspan", columns - 1), PlainText.Of(trial.Error)));
        }
    }

    /// <summary>A number; a mouse on it shows all its digits.</summary>
    private static XElement Cell(string text, double? exact = null) =>
        new("td", new XAttribute("class", "number"), exact is { } value ? new XAttribute("title", ParameterText.Of(value)) : null, text);
}
