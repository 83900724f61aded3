using System.Globalization;
using CompareMethods;

namespace ReproducePaper.Report;

/// <summary>What these data say of a claim.</summary>
internal enum Verdict
{
    Supports,
    Contradicts,
    CannotTell,
}

/// <summary>A claim of the paper, and what these data say of it.</summary>
/// <param name="Text">The claim, in our words.</param>
/// <param name="Verdict">Decided by <see cref="Claim.Of"/> alone.</param>
/// <param name="Evidence">The numbers that decide.</param>
internal sealed record Claim(string Text, Verdict Verdict, string Evidence)
{
    /// <summary>
    /// A claim that one number is larger than another, or smaller. Both sides were run with the same seeds, so that what a seed does to
    /// both falls out: the mean of the differences with its 95 % interval (Student's t over the seeds). An interval that holds 0 decides
    /// nothing, nor does one without a width.
    /// </summary>
    /// <param name="text">The claim.</param>
    /// <param name="larger">Whether the first is said to be the larger.</param>
    /// <param name="first">By seed; null where a training diverged, or it was not measured.</param>
    /// <param name="second">By seed, likewise.</param>
    /// <param name="unit">What the numbers are.</param>
    /// <param name="scale">From the numbers to their unit.</param>
    /// <param name="questions">
    /// The numbers are shares of so many questions: then other questions would give other shares, which widens the interval by the binomial
    /// variance of both sides, as if they had been asked different ones. 0: no shares.
    /// </param>
    public static Claim Of(
        string text, bool larger, IReadOnlyList<double?> first, IReadOnlyList<double?> second, string unit, double scale = 1,
        int questions = 0)
    {
        (double First, double Second)[] pairs =
        [
            .. first.Zip(second).Where(pair => pair.First is { } one && pair.Second is { } other && double.IsFinite(one + other))
                .Select(pair => (scale * pair.First!.Value, scale * pair.Second!.Value)),
        ];
        int missing = Math.Max(first.Count, second.Count) - pairs.Length;
        string without = missing == 0
            ? ""
            : string.Create(CultureInfo.InvariantCulture, $" {missing} of {missing + pairs.Length} seeds diverged or were not measured.");
        double[] differences = [.. pairs.Select(pair => pair.First - pair.Second)];
        if (differences.Length == 0 || Statistics.HalfInterval(differences) is not { } seeds)
        {
            return new Claim(text, Verdict.CannotTell, (differences.Length == 0
                ? "It was not measured here."
                : $"One seed: the difference is {Short(differences[0])} {unit}, and nobody knows how far seeds differ.") + without);
        }

        double mean = differences.Average();
        double half = Math.Sqrt(seeds * seeds + QuestionVariance(pairs.Average(pair => pair.First / scale), questions, scale)
            + QuestionVariance(pairs.Average(pair => pair.Second / scale), questions, scale));
        Verdict verdict = Math.Abs(mean) <= half || half == 0
            ? Verdict.CannotTell
            : mean > 0 == larger ? Verdict.Supports : Verdict.Contradicts;
        string says = verdict != Verdict.CannotTell ? "the interval does not hold 0"
            : half == 0 ? "seeds do not differ, so that it has no interval"
            : "the difference lies within its interval";
        return new Claim(text, verdict, string.Create(CultureInfo.InvariantCulture,
            $"Difference {(mean > 0 ? "+" : "")}{Short(mean)} ± {Short(half)} {unit} over {differences.Length} seeds: {says}.{without}"));
    }

    /// <summary>
    /// (1.96)² p (1 − p) / n, with two right and two wrong answers more, so that it is not 0 where all are right (Agresti, Coull).
    /// </summary>
    private static double QuestionVariance(double share, int questions, double scale)
    {
        double count = questions + 4, p = (share * questions + 2) / count;
        return questions == 0 ? 0 : 1.96 * 1.96 * scale * scale * p * (1 - p) / count;
    }

    /// <summary>Three digits that count.</summary>
    private static string Short(double value) => value == 0
        ? "0"
        : decimal.Parse(value.ToString("G3", CultureInfo.InvariantCulture), NumberStyles.Float, CultureInfo.InvariantCulture)
            .ToString("0.##########", CultureInfo.InvariantCulture);

    /// <summary>As the report says it.</summary>
    public string VerdictText => Verdict switch
    {
        Verdict.Supports => "supported by these data",
        Verdict.Contradicts => "contradicted by these data",
        _ => "these data cannot tell",
    };
}
