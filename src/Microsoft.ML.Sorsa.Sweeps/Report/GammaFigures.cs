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
            return ReportFigure.LeftOut(
                Name, Title, $"{string.Join(" and ", missing)} {(missing.Length == 1 ? "is" : "are")} not in the search space.");
        }

        PlotScale<object?> across = PlotScale.Of(gamma), up = PlotScale.Of(rank);
        (TrialResult, double, double)[] points =
        [
            .. report.InDrawingOrder().Select(trial => (trial, trial.TrialSettings.Parameters))
                .Where(pair => pair.Parameters.ContainsKey(SweepReport.Gamma) && pair.Parameters.ContainsKey(SweepReport.Rank))
                .Select(pair => (
                    pair.trial, across.PositionOf(pair.Parameters[SweepReport.Gamma]), up.PositionOf(pair.Parameters[SweepReport.Rank]))),
        ];
        if (points.Length == 0)
        {
            return ReportFigure.LeftOut(Name, Title, "no trial has both.");
        }

        PlotModel plot = TrialMarks.Plot(
            report,
            new ScaleAxis(AxisPosition.Bottom, SweepReport.Gamma, across.Ticks),
            new ScaleAxis(AxisPosition.Left, SweepReport.Rank, up.Ticks),
            points);
        int others = report.Trials.Count - points.Length;
        return new ReportFigure(Name, Title, TrialMarks.Legend
            + (others == 0 ? "" : $" Not drawn: {NumberText.Count(others, "trial")} whose method has no γ or no rank."), plot);
    }
}

/// <summary>How far from orthonormal the singular vectors are at a trial's end, against γ that should keep them so.</summary>
internal static class OrthonormalityFigure
{
    private const string Name = "orthonormality", Title = "Orthonormality against γ";

    public static ReportFigure Of(SweepReport report)
    {
        if (report.Option(SweepReport.Gamma) is null)
        {
            return ReportFigure.LeftOut(Name, Title, $"{SweepReport.Gamma} is not in the search space.");
        }

        (TrialResult Trial, double Gamma, double Orthonormality)[] trials =
        [
            .. report.InDrawingOrder().Select(trial => (
                    trial,
                    Gamma: PlotScale.Number(trial.TrialSettings.Parameters.GetValueOrDefault(SweepReport.Gamma)),
                    Orthonormality: LastOf(trial)))
                .Where(point => point.Gamma is not null && point.Orthonormality is { } value && double.IsFinite(value))
                .Select(point => (point.trial, point.Gamma!.Value, point.Orthonormality!.Value)),
        ];
        if (trials.Length == 0)
        {
            return ReportFigure.LeftOut(Name, Title, "no trial has both a γ and a measured orthonormality.");
        }

        PlotScale<double> across = PlotScale.Of(trials.Select(trial => trial.Gamma), isLogarithmic: true);
        PlotScale<double> up = PlotScale.Of(trials.Select(trial => trial.Orthonormality), isLogarithmic: true);
        PlotModel plot = TrialMarks.Plot(
            report,
            new ScaleAxis(AxisPosition.Bottom, SweepReport.Gamma, across.Ticks),
            new ScaleAxis(AxisPosition.Left, "L_reg of Eq. (9)", up.Ticks),
            [.. trials.Select(trial => (trial.Trial, across.PositionOf(trial.Gamma), up.PositionOf(trial.Orthonormality)))]);
        int others = report.Trials.Count - trials.Length;
        return new ReportFigure(Name, Title,
            "Lower is closer to orthonormal; of pruned trials the last value of their curve. Squares as in γ against rank."
            + (others == 0 ? "" : $" Not drawn: {NumberText.Count(others, "trial")} without γ or without a value."), plot);
    }

    /// <summary>At the end of the trial; where it did not come to its end, as far as it came.</summary>
    public static double? LastOf(TrialResult trial) =>
        trial.Orthonormality ?? (trial.Curve.Count == 0 ? null : trial.Curve[^1].Orthonormality);
}
