using OxyPlot;
using OxyPlot.Axes;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>γ against rank: the metric as a colour.</summary>
internal static class GammaRankFigure
{
    private const string Name = "gamma-rank", Title = "γ against rank";

    public static ReportFigure Of(SweepReport report)
    {
        if (report.Option(SweepReport.Gamma) is not { } gamma || report.Option(SweepReport.Rank) is not { } rank)
        {
            string[] missing = [.. new[] { SweepReport.Gamma, SweepReport.Rank }.Where(name => report.Option(name) is null)];
            return ReportFigure.LeftOut(Name, Title, $"{string.Join(" and ", missing)} {(missing.Length == 1 ? "is" : "are")} not in the search space.");
        }

        PlotScale<object?> across = PlotScale.Of(gamma), up = PlotScale.Of(rank);
        (TrialResult, double, double)[] places =
        [
            .. report.InDrawingOrder().Select(trial => (trial, trial.TrialSettings.Parameters))
                .Where(pair => pair.Parameters.ContainsKey(SweepReport.Gamma) && pair.Parameters.ContainsKey(SweepReport.Rank))
                .Select(pair => (pair.trial, across.PlaceOf(pair.Parameters[SweepReport.Gamma]), up.PlaceOf(pair.Parameters[SweepReport.Rank]))),
        ];
        if (places.Length == 0)
        {
            return ReportFigure.LeftOut(Name, Title, "no trial has both.");
        }

        PlotModel plot = TrialMarks.Plot(report, new ScaleAxis(AxisPosition.Bottom, SweepReport.Gamma, across.Ticks), new ScaleAxis(AxisPosition.Left, SweepReport.Rank, up.Ticks), places);
        int others = report.Trials.Count - places.Length;
        return new ReportFigure(Name, Title, TrialMarks.Legend + (others == 0 ? "" : $" Not drawn: {NumberText.Count(others, "trial")} whose method has no γ or no rank."), plot);
    }
}
