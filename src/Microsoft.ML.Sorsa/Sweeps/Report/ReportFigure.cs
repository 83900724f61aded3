using OxyPlot;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>A plot with its heading, or the reason why there is none.</summary>
/// <param name="Name">A word, its identity on the page.</param>
/// <param name="Title">The heading.</param>
/// <param name="Note">How to read it, and what is not in it; or why it is left out.</param>
/// <param name="Plot">Null: left out.</param>
/// <param name="IsWide">Takes the page's whole width.</param>
internal sealed record ReportFigure(string Name, string Title, string Note, PlotModel? Plot, bool IsWide = false)
{
    public const double Height = 400;

    private const double NarrowWidth = 568, FullWidth = 1160;

    public double Width => IsWide ? FullWidth : NarrowWidth;

    public static ReportFigure LeftOut(string name, string title, string reason) => new(name, title, "Left out: " + reason, null);
}
