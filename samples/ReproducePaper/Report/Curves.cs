using Microsoft.ML.Sorsa.Analysis;

namespace ReproducePaper.Report;

/// <summary>What is told of a training's steps.</summary>
internal static class Curves
{
    /// <summary>One batch's loss is noisy: the mean of the last tenth.</summary>
    public static double? FinalLoss(RunResult run) => run.Divergence is not null || run.Steps.Count == 0
        ? null
        : run.Steps.TakeLast(Math.Max(1, run.Steps.Count / 10)).Average(step => step.Loss);

    /// <summary>Lower where the loss falls earlier.</summary>
    public static double? MeanLoss(RunResult run) =>
        run.Divergence is not null || run.Steps.Count == 0 ? null : run.Steps.Average(step => step.Loss);

    public static IEnumerable<MatrixAnalysis> AtLastStep(IReadOnlyList<MatrixAnalysis> matrices)
    {
        int last = matrices.Count == 0 ? 0 : matrices.Max(matrix => matrix.Step);
        return matrices.Where(matrix => matrix.Step == last);
    }

    /// <summary>A number of every step, meaned over runs and over a window of steps; steps without it are left out.</summary>
    public static IReadOnlyList<(double Step, double Value)> Mean(
        IEnumerable<RunResult> runs, Func<StepRecord, double?> number, int window = 1) =>
    [
        .. from step in runs.SelectMany(run => run.Steps)
           let value = number(step)
           where value is not null && double.IsFinite(value.Value)
           group value.Value by (step.Step - 1) / window into values
           orderby values.Key
           select ((double)(values.Key * window) + (window + 1) / 2.0, values.Average()),
    ];
}
