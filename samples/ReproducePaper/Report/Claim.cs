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
    /// nothing.
    /// </summary>
    /// <param name="text">The claim.</param>
    /// <param name="larger">Whether the first is said to be the larger.</param>
    /// <param name="first">By seed.</param>
    /// <param name="second">By seed.</param>
    /// <param name="unit">What the numbers are.</param>
    /// <param name="scale">From the numbers to their unit.</param>
    public static Claim Of(
        string text, bool larger, IReadOnlyList<double?> first, IReadOnlyList<double?> second, string unit, double scale = 1)
    {
        double[] differences =
        [
            .. first.Zip(second).Where(pair => pair.First is not null && pair.Second is not null)
                .Select(pair => scale * (pair.First!.Value - pair.Second!.Value)),
        ];
        if (differences.Length == 0 || Statistics.HalfInterval(differences) is not { } half)
        {
            return new Claim(text, Verdict.CannotTell, differences.Length == 0
                ? "It was not measured here."
                : string.Create(CultureInfo.InvariantCulture,
                    $"One seed: the difference is {Short(differences[0])} {unit}, and nobody knows how far seeds differ."));
        }

        double mean = differences.Average();
        Verdict verdict = Math.Abs(mean) <= half ? Verdict.CannotTell : mean > 0 == larger ? Verdict.Supports : Verdict.Contradicts;
        string says = verdict == Verdict.CannotTell ? "the difference lies within its interval" : "the interval does not hold 0";
        return new Claim(text, verdict, string.Create(CultureInfo.InvariantCulture,
            $"Difference {(mean > 0 ? "+" : "")}{Short(mean)} ± {Short(half)} {unit} over {differences.Length} seeds: {says}."));
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
