using System.Globalization;
using System.Xml.Linq;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>The paragraph at the top.</summary>
internal static class ReportSummary
{
    public static XElement Of(SweepReport report) => new("p", Trials(report), Best(report), Shared(report.Shared),
        report.StoppedByTime ? " The time of the sweep was over before the trials were: how many there are depends on the machine, though not what each of them gave." : "");

    private static string Trials(SweepReport report)
    {
        TrialState[] states = [TrialState.Completed, TrialState.Pruned, TrialState.Failed, TrialState.Running];
        IEnumerable<string> counts = states.Select(state => (State: state, Count: report.Trials.Count(trial => trial.State == state))).Where(pair => pair.Count > 0)
            .Select(pair => $"{NumberText.Of(pair.Count)} {pair.State.ToString().ToLowerInvariant()}");
        return $"{NumberText.Count(report.Trials.Count, "trial")}{(report.Trials.Count == 0 ? "" : ": " + string.Join(", ", counts))}.";
    }

    private static object[] Best(SweepReport report)
    {
        if (report.Best is not { } best)
        {
            return [" None was trained to its end, so there is no best one."];
        }

        object[] parameters = [.. best.TrialSettings.Parameters.SelectMany((parameter, i) => new object[]
        {
            i == 0 ? " with " : ", ", new XElement("code", PlainText.Of($"{parameter.Key} = {ParameterText.Of(parameter.Value)}")),
        })];
        return
        [
            string.Create(CultureInfo.InvariantCulture, $" The {(report.History.IsMaximized ? "highest" : "lowest")} {PlainText.Of(report.MetricName)} is "),
            new XElement("strong", ParameterText.Of(best.Metric)), $", of trial {NumberText.Of(best.TrialSettings.TrialId)}", .. parameters, ".",
        ];
    }

    private static string Shared(SharedWork shared) => string.Create(CultureInfo.InvariantCulture,
        $" Shared work of this process: {NumberText.Count(shared.Decompositions, "matrix was", "matrices were")} decomposed and {NumberText.Count(shared.DecompositionsReused, "decomposition")} taken from disk instead of {shared.DecompositionTimeSaved.TotalSeconds:F1} s of computing; {NumberText.Count(shared.RowsTokenized, "row was", "rows were")} tokenized and {NumberText.Of(shared.RowsReused)} were in tokens already; {NumberText.Count(shared.ModelLoadsSaved, "load")} of the base model saved.");
}
