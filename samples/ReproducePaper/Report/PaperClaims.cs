using Microsoft.ML.Sorsa.Analysis;

namespace ReproducePaper.Report;

/// <summary>The paper's claims, beside the figure that each bears on.</summary>
internal static class PaperClaims
{
    /// <summary>All of them, in the report's order.</summary>
    public static IReadOnlyList<Claim> All(StudyResults results) =>
    [
        .. OfTable1(results), .. OfForgetting(results), .. OfMatrices(results), .. OfGamma(results), .. OfConvergence(results),
        .. OfModules(results),
    ];

    /// <summary>Table 1: SORSA answers more than the others.</summary>
    public static IEnumerable<Claim> OfTable1(StudyResults results) =>
        from score in results.Before.Scores
        from other in new[] { StudyMethod.Lora, StudyMethod.Pissa, StudyMethod.AdaLora, StudyMethod.Full, StudyMethod.NoRegularizer }
        where Has(results, other)
        select Claim.Of(
            $"{score.Name}: SORSA answers more questions right than {StudyMethod.Find(other)!.Title}.", larger: true,
            Accuracies(results, StudyMethod.Sorsa, score.Name), Accuracies(results, other, score.Name), "percentage points", scale: 100,
            score.Total);

    /// <summary>SORSA keeps more of what the model knew.</summary>
    public static IEnumerable<Claim> OfForgetting(StudyResults results) =>
        from other in new[] { StudyMethod.Lora, StudyMethod.Pissa, StudyMethod.Full }
        where Has(results, other)
        select Claim.Of(
            $"SORSA forgets less of general text than {StudyMethod.Find(other)!.Title}.", larger: false,
            Each(results, StudyMethod.Sorsa, results.Forgetting), Each(results, other, results.Forgetting), "nats per token");

    /// <summary>Section 3 and Figure 2: SORSA changes singular values and vectors least, and the regularizer is why.</summary>
    public static IEnumerable<Claim> OfMatrices(StudyResults results) =>
        from other in new[] { StudyMethod.Partial, StudyMethod.Lora, StudyMethod.NoRegularizer }
        where Has(results, other)
        from claim in new[]
        {
            Claim.Of(
                $"SORSA changes singular vectors less (ΔD) than {StudyMethod.Find(other)!.Title}.", larger: false,
                Each(results, StudyMethod.Sorsa, VectorChange), Each(results, other, VectorChange), "in ΔD, mean of all matrices"),
            Claim.Of(
                $"SORSA changes singular values less (ΔΣ) than {StudyMethod.Find(other)!.Title}.", larger: false,
                Each(results, StudyMethod.Sorsa, ValueChange), Each(results, other, ValueChange), "in ΔΣ, mean of all matrices"),
            Claim.Of(
                $"Layers move less in parallel in SORSA than in {StudyMethod.Find(other)!.Title}.", larger: true,
                Each(results, StudyMethod.Sorsa, SlopeVariation), Each(results, other, SlopeVariation),
                "in the variation of ΔD / ΔΣ over layers"),
        }
        select claim;

    /// <summary>Figure 5: it is so everywhere in a layer.</summary>
    public static IEnumerable<Claim> OfModules(StudyResults results)
    {
        IReadOnlyList<RunResult> sorsa = results.Of(StudyMethod.Sorsa), lora = results.Of(StudyMethod.Lora);
        if (sorsa.Count > 0 && lora.Count > 0)
        {
            double?[] largest = [.. sorsa.Zip(lora, LargestDifference)];
            yield return Claim.Of(
                "In every kind of matrix SORSA changes singular vectors less (ΔD) than LoRA.", larger: false, largest,
                [.. largest.Select(_ => (double?)0)], "in ΔD, at the kind of matrix where it is largest");
        }
    }

    /// <summary>
    /// Figure 3: the regularizer keeps U and V orthonormal; and Eq. (17): a γ beyond a bound does harm. The bound is made of quantities
    /// that nobody knows, so the largest γ of the study stands for one beyond it.
    /// </summary>
    public static IEnumerable<Claim> OfGamma(StudyResults results)
    {
        if (results.Gammas.Count == 0)
        {
            yield break;
        }

        double most = results.Settings.Gammas.Max(), ratio = most / results.Settings.UsualGamma;
        IReadOnlyList<RunResult> none = OfGamma(results, 0), large = OfGamma(results, most);
        IReadOnlyList<RunResult> usual =
            [.. results.Of(StudyMethod.Sorsa).Where(run => large.Any(other => other.Run.Seed == run.Run.Seed))];
        yield return Claim.Of(
            "The regularizer keeps U and V nearer to orthonormal than they stay without it.", larger: false,
            [.. usual.Select(Orthonormality)], [.. none.Select(Orthonormality)], "in ‖UᵀU − I‖, mean of all factors at the end");
        string text = FormattableString.Invariant(
            $"A γ beyond a bound, for which {most} stands here, {ratio:0} times the usual, does harm (Eq. 17): the loss ends higher.");
        yield return large.All(run => run.Divergence is not null) && usual.All(run => run.Divergence is null)
            ? new Claim(
                text, Verdict.Supports, FormattableString.Invariant($"With it all {large.Count} trainings diverged, with the usual none."))
            : Claim.Of(
                text, larger: true, [.. large.Select(Curves.FinalLoss)], [.. usual.Select(Curves.FinalLoss)], "nats per token");
    }

    /// <summary>Figure 4: SORSA converges faster.</summary>
    public static IEnumerable<Claim> OfConvergence(StudyResults results) =>
        from other in new[] { StudyMethod.Lora, StudyMethod.Pissa }
        where Has(results, other)
        select Claim.Of(
            $"SORSA converges faster than {StudyMethod.Find(other)!.Title}: its loss, meaned over all steps, is lower.", larger: false,
            Each(results, StudyMethod.Sorsa, Curves.MeanLoss), Each(results, other, Curves.MeanLoss), "nats per token");

    public static IReadOnlyList<RunResult> OfGamma(StudyResults results, double gamma) =>
        [.. results.Gammas.Where(run => run.Run.Gamma == gamma).OrderBy(run => run.Run.Seed)];

    /// <summary>ΔD at the end, mean of all matrices.</summary>
    public static double? VectorChange(RunResult run) => AtEnd(run, matrix => matrix.SingularVectorChange);

    /// <summary>ΔΣ at the end, mean of all matrices.</summary>
    public static double? ValueChange(RunResult run) => AtEnd(run, matrix => matrix.SingularValueChange);

    /// <summary>Singular vectors of the end that the start had none like, mean of all matrices.</summary>
    public static double? Intruders(RunResult run) => AtEnd(run, matrix => matrix.IntruderDimensions);

    /// <summary>An adapter's is the sum of its two factors'.</summary>
    private static double? Orthonormality(RunResult run) => AtEnd(run, matrix => matrix.Orthonormality / 2);

    /// <summary>
    /// How far the layers' lines in Figure 2 are from parallel: of each kind of matrix the standard deviation of its slopes ΔD / ΔΣ over
    /// the layers, divided by their mean; the mean over the kinds.
    /// </summary>
    public static double? SlopeVariation(RunResult run) => run.Divergence is not null
        ? null
        : Curves.AtLastStep(run.Matrices).Where(row => row.SingularValueChange > 0)
            .GroupBy(row => row.Module, row => row.SingularVectorChange / row.SingularValueChange, StringComparer.Ordinal)
            .Select(slopes =>
            {
                double mean = slopes.Average();
                return mean > 0 ? Math.Sqrt(slopes.Average(slope => (slope - mean) * (slope - mean))) / mean : (double?)null;
            })
            .Average();

    private static double? LargestDifference(RunResult first, RunResult second)
    {
        ILookup<string, MatrixAnalysis> others = Curves.AtLastStep(second.Matrices).ToLookup(row => row.Module, StringComparer.Ordinal);
        return Curves.AtLastStep(first.Matrices).GroupBy(row => row.Module, StringComparer.Ordinal)
            .Where(group => others.Contains(group.Key))
            .Select(group => (double?)(group.Average(row => row.SingularVectorChange)
                - others[group.Key].Average(row => row.SingularVectorChange)))
            .Max();
    }

    /// <summary>SORSA and another method are both in the study.</summary>
    private static bool Has(StudyResults results, string other) =>
        results.Of(StudyMethod.Sorsa).Count > 0 && results.Of(other).Count > 0;

    private static double? AtEnd(RunResult run, Func<MatrixAnalysis, double?> number) =>
        run.Divergence is null ? Curves.AtLastStep(run.Matrices).Select(number).Average() : null;

    private static IReadOnlyList<double?> Accuracies(StudyResults results, string method, string test) =>
        Each(results, method, run => StudyResults.Accuracy(run, test));

    private static IReadOnlyList<double?> Each(StudyResults results, string method, Func<RunResult, double?> number) =>
        [.. results.Of(method).Select(number)];
}
