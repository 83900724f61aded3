using System.Xml.Linq;
using OxyPlot;
using OxyPlot.Series;

namespace ReproducePaper.Report;

/// <summary>Lines over the steps of a training.</summary>
internal static class CurveFigures
{
    private const int Windows = 40;

    /// <summary>Figure 3: what γ does.</summary>
    public static ReportFigure? OfGamma(StudyResults results)
    {
        if (results.Gammas.Count == 0)
        {
            return null;
        }

        int[] seeds = [.. results.Gammas.Select(run => run.Run.Seed).Distinct()];
        (double Gamma, IReadOnlyList<RunResult> Runs)[] lines =
        [
            .. results.Settings.Gammas.Select(gamma => (gamma, PaperClaims.OfGamma(results, gamma)))
                .Append((
                    results.Settings.UsualGamma,
                    [.. results.Of(StudyMethod.Sorsa).Where(run => seeds.Contains(run.Run.Seed))]))
                .OrderBy(line => line.Item1),
        ];
        return new ReportFigure(
            "gamma", "Figure 3: the regularizer's weight γ",
            "Steps of training, meaned over the seeds. Orthonormality is Eq. (9), the mean of ‖UᵀU − I‖ and ‖VᵀV − I‖ over all matrices; "
            + "with γ = 0 it is known only where matrices were analysed. The gradient is that of the loss, before clipping.",
            [
                ("Orthonormality", Panel(
                    "gamma-orthonormality", "mean of ‖UᵀU − I‖, ‖VᵀV − I‖", lines.Select(line => Orthonormality(line.Runs)),
                    isLogarithmic: true)),
                ("Loss", Panel("gamma-loss", "nats a token", lines.Select(line => Smooth(line.Runs, step => step.Loss)))),
                ("Gradient norm", Panel(
                    "gamma-gradient", "‖∇L‖", lines.Select(line => Smooth(line.Runs, step => step.GradientNorm)), isLogarithmic: true)),
            ],
            Ink.Legend(lines.Select((line, i) => (FormattableString.Invariant($"γ = {line.Gamma:0.#####}"), i, true))),
            [.. PaperClaims.OfGamma(results)]);
    }

    /// <summary>Figure 4: how fast the methods learn.</summary>
    public static ReportFigure? OfMethods(StudyResults results)
    {
        StudyMethod[] methods =
        [
            .. results.Methods.Where(method => method.Key is StudyMethod.Sorsa or StudyMethod.NoRegularizer or StudyMethod.Pissa
                or StudyMethod.Lora or StudyMethod.AdaLora or StudyMethod.Full),
        ];
        if (methods.Length == 0)
        {
            return null;
        }

        int[] indices = [.. methods.Select(Ink.IndexOf)];
        return new ReportFigure(
            "curves", "Figure 4: training loss and gradient norm",
            "Steps of training, each method at its own best learning rate, meaned over the seeds. AdaLoRA's loss is without its penalty.",
            [
                ("Loss", Panel(
                    "curves-loss", "nats a token", methods.Select(method => Smooth(results.Of(method.Key), step => step.Loss)), indices,
                    isLogarithmic: true)),
                ("Gradient norm", Panel("curves-gradient", "‖∇L‖",
                    methods.Select(method => Smooth(results.Of(method.Key), step => step.GradientNorm)), indices, isLogarithmic: true)),
            ],
            Ink.Legend(methods.Select(method => (method.Title, Ink.IndexOf(method), true))), [.. PaperClaims.OfConvergence(results)]);
    }

    private static IReadOnlyList<XElement> Panel(
        string name, string up, IEnumerable<IReadOnlyList<(double X, double Y)>> lines, int[]? indices = null,
        bool isLogarithmic = false)
    {
        PlotModel plot = Ink.Plot("optimizer step", up, isLogarithmic);
        foreach ((IReadOnlyList<(double X, double Y)> line, int i) in lines.Select((line, i) => (line, i)))
        {
            plot.Series.Add(new LineSeries
            {
                ItemsSource = line.Where(point => !isLogarithmic || point.Y > 0).Select(point => new DataPoint(point.X, point.Y)).ToArray(),
                Color = Ink.ColorOf(indices?[i] ?? i),
                LineStyle = LineStyle.Solid,
                StrokeThickness = 2,
            });
        }

        return [.. Ink.Svg(name, up, plot)];
    }

    private static IReadOnlyList<(double, double)> Smooth(IReadOnlyList<RunResult> runs, Func<StepRecord, double?> number) =>
        Curves.Mean(
            runs, number, Math.Max(1, runs.SelectMany(run => run.Steps).Select(step => step.Step).DefaultIfEmpty(1).Max() / Windows));

    /// <summary>Of every step where the loop computes it; otherwise where matrices were analysed.</summary>
    private static IReadOnlyList<(double, double)> Orthonormality(IReadOnlyList<RunResult> runs)
    {
        IReadOnlyList<(double, double)> steps = Smooth(runs, step => step.Orthonormality);
        return steps.Count > 0
            ? steps
            :
            [
                .. from matrix in runs.SelectMany(run => run.Matrices)
                   where matrix.Orthonormality is not null
                   group matrix.Orthonormality!.Value / 2 by matrix.Step into values
                   orderby values.Key
                   select ((double)values.Key, values.Average()),
            ];
    }
}
