using System.Xml.Linq;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Sweeps;
using OxyPlot;
using OxyPlot.Series;

namespace ReproducePaper.Report;

/// <summary>What training does to the matrices themselves.</summary>
internal static class MatrixFigures
{
    /// <summary>Pixels of a drawing above its plot.</summary>
    private const int Legend = 80;

    /// <summary>Figure 2: ΔD against ΔΣ, a panel a method.</summary>
    public static ReportFigure? OfSteps(StudyResults results)
    {
        (StudyMethod Method, RunResult Run)[] runs =
        [
            .. from key in new[] { StudyMethod.Partial, StudyMethod.Lora, StudyMethod.NoRegularizer, StudyMethod.Sorsa }
               let run = results.Of(key).FirstOrDefault(run => run.Divergence is null && run.Matrices.Count > 0)
               where run is not null
               select (StudyMethod.Find(key)!, run),
        ];
        if (runs.Length == 0)
        {
            return null;
        }

        double values = runs.Max(run => run.Run.Matrices.Max(matrix => matrix.SingularValueChange));
        double vectors = runs.Max(run => run.Run.Matrices.Max(matrix => matrix.SingularVectorChange));
        return new ReportFigure(
            "matrices", "Figure 2: singular values and vectors over the steps",
            "How far each matrix has moved from its start, in one training each (the first seed that did not diverge): ΔD (Eq. 4) is the "
            + "share of the singular vectors' direction that changed, ΔΣ (Eq. 1) the mean change of a singular value. All panels have the "
            + "same axes. Lines of the layers are parallel where ΔD / ΔΣ is the same in all of them: its standard deviation over its mean "
            + "tells how far they are from that.",
            [.. runs.Select(run => ("", Drawings(run.Method, run.Run, (values, vectors))))], null,
            [.. PaperClaims.OfMatrices(results)]);
    }

    /// <summary>Figure 5: where in the layers the change is.</summary>
    public static ReportFigure? OfModules(StudyResults results)
    {
        string[] modules =
        [
            .. results.Reported.SelectMany(run => run.Matrices).Select(matrix => matrix.Module).Distinct(),
        ];
        if (modules.Length == 0)
        {
            return null;
        }

        StudyMethod[] methods = [.. results.Methods.Where(method => results.Of(method.Key).Any(run => run.Matrices.Count > 0))];
        return new ReportFigure(
            "modules", "Figure 5: the change by kind of matrix",
            "At the end of training, meaned over layers and seeds. From left to right: "
            + string.Join(", ", modules.Select((name, i) => FormattableString.Invariant($"{i + 1} {name}"))) + ".",
            [
                ("ΔD", Panel("modules-vectors", "ΔD", matrix => matrix.SingularVectorChange)),
                ("ΔΣ", Panel("modules-values", "ΔΣ", matrix => matrix.SingularValueChange)),
            ],
            Ink.Legend(methods.Select(method => (method.Title, Ink.IndexOf(method), false))), [.. PaperClaims.OfModules(results)]);

        IReadOnlyList<XElement> Panel(string name, string up, Func<MatrixAnalysis, double> number)
        {
            PlotModel plot = Ink.Plot("kind of matrix", up);
            foreach (StudyMethod method in methods)
            {
                int index = Ink.IndexOf(method);
                plot.Series.Add(new LineSeries
                {
                    ItemsSource =
                        (from matrix in results.Of(method.Key).SelectMany(run => Curves.AtLastStep(run.Matrices))
                         group number(matrix) by Array.IndexOf(modules, matrix.Module) into values
                         orderby values.Key
                         select new DataPoint(values.Key + 1, values.Average())).ToArray(),
                    Color = OxyColor.FromAColor(110, Ink.ColorOf(index)),
                    StrokeThickness = 1,
                    MarkerType = Ink.MarkOf(index),
                    MarkerFill = Ink.ColorOf(index),
                    MarkerSize = 4.5,
                });
            }

            return [.. Ink.Svg(name, up, plot)];
        }
    }

    private static IReadOnlyList<XElement> Drawings(StudyMethod method, RunResult run, (double Values, double Vectors) axes) =>
    [
        .. Ink.Screens.Select(screen =>
        {
            (int width, int height) = ((int)screen.Width, (int)screen.Height + Legend);
            string svg = AnalysisFigure.ToSvg(new SorsaAnalysis(run.Matrices), method.Title, axes, width, height);
            XElement drawing = Ink.Named(XElement.Parse(svg), $"{method.Key}-{screen.Screen}", method.Title, width, height);
            drawing.SetAttributeValue("class", screen.Screen);
            return drawing;
        }),
    ];
}
