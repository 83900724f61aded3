using OxyPlot;
using OxyPlot.Series;

namespace ReproducePaper.Report;

/// <summary>
/// Accuracy against what was forgotten: a mark a method and seed, the means of those that no other beats in both, joined.
/// </summary>
internal static class ForgettingFigure
{
    public static ReportFigure? Of(StudyResults results)
    {
        string test = results.MainTest;
        (StudyMethod Method, double Forgotten, double Accuracy)[] marks =
        [
            .. from method in results.Methods
               from run in results.Of(method.Key)
               let forgotten = results.Forgetting(run)
               where forgotten is not null
               select (method, forgotten.Value, 100 * StudyResults.Accuracy(run, test)),
        ];
        if (marks.Length == 0)
        {
            return null;
        }

        PlotModel plot = Ink.Plot("forgotten, nats a token", $"{test}: right answers, %");
        (double X, double Y)[] means =
        [
            .. marks.GroupBy(mark => mark.Method).Where(group => Diverged(results, group.Key) == 0)
                .Select(group => (group.Average(mark => mark.Forgotten), group.Average(mark => mark.Accuracy))),
        ];
        plot.Series.Add(new LineSeries
        {
            ItemsSource = ParetoFront.Of(means).Select(point => new DataPoint(point.X, point.Y)).ToArray(),
            Color = OxyColor.FromRgb(0x8a, 0x92, 0x9c),
            LineStyle = LineStyle.Dash,
            StrokeThickness = 1.5,
        });
        foreach (var group in marks.GroupBy(mark => mark.Method))
        {
            int index = Ink.IndexOf(group.Key);
            plot.Series.Add(new ScatterSeries
            {
                ItemsSource = group.Select(mark => new ScatterPoint(mark.Forgotten, mark.Accuracy)).ToArray(),
                MarkerType = Ink.MarkOf(index),
                MarkerFill = Ink.ColorOf(index),
                MarkerSize = 5,
            });
        }

        return new ReportFigure(
            "forgetting", "What is learnt, and what is forgotten",
            "A mark is a method with one seed; upwards is better, to the left is better. Forgotten is general text's loss after training, "
            + "minus that before. The dashed line joins the means of those methods that no other method beats in both (the Pareto front); "
            + "a method of which a training diverged is not on it.",
            [("", [.. Ink.Svg("forgetting", "Accuracy against forgetting", plot)])],
            Ink.Legend(results.Methods.Select(method => (Title(results, method), Ink.IndexOf(method), false))),
            [.. PaperClaims.OfForgetting(results)]);
    }

    private static int Diverged(StudyResults results, StudyMethod method) =>
        results.Of(method.Key).Count(run => run.Divergence is not null);

    private static string Title(StudyResults results, StudyMethod method) => Diverged(results, method) is > 0 and var count
        ? FormattableString.Invariant($"{method.Title} ({count} diverged)")
        : method.Title;
}
