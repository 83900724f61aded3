using OxyPlot;
using OxyPlot.Axes;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>An axis over the places of a <see cref="PlotScale{T}"/>, with its labels.</summary>
internal sealed class ScaleAxis : LinearAxis
{
    private const double Margin = 0.08;

    private readonly IReadOnlyList<(double Place, string Label)> _ticks;

    public ScaleAxis(AxisPosition position, string title, IReadOnlyList<(double Place, string Label)> ticks, double margin = Margin)
    {
        _ticks = ticks;
        Position = position;
        Title = title;
        Minimum = -margin;
        Maximum = 1 + margin;
        AxislineStyle = LineStyle.Solid;
        AxislineColor = TicklineColor = PlotInk.Axis;
        MajorGridlineStyle = LineStyle.Solid;
        MajorGridlineColor = PlotInk.Grid;
        TickStyle = TickStyle.None;
        AxisTitleDistance = position == AxisPosition.Left ? 18 : 8;
    }

    public override void GetTickValues(out IList<double> majorLabelValues, out IList<double> majorTickValues, out IList<double> minorTickValues)
    {
        majorLabelValues = majorTickValues = [.. _ticks.Select(tick => tick.Place)];
        minorTickValues = [];
    }

    protected override string FormatValueOverride(double x) => _ticks.MinBy(tick => Math.Abs(tick.Place - x)).Label;
}
