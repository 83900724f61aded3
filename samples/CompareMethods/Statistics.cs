namespace CompareMethods;

/// <summary>What is told of several runs.</summary>
internal static class Statistics
{
    /// <summary>t for 95 % of Student's distribution, two-sided, by degrees of freedom from 1.</summary>
    private static readonly double[] StudentT =
    [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];

    /// <summary>Values that an interval can be told of, at most.</summary>
    public static int MostValues => StudentT.Length + 1;

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>Half of the 95 % interval around the mean, t · s / √n; null for a single value.</summary>
    public static double? HalfInterval(IReadOnlyList<double> values)
    {
        if (values.Count < 2)
        {
            return null;
        }

        double mean = values.Average(), variance = values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1);
        return StudentT[values.Count - 2] * Math.Sqrt(variance / values.Count);
    }
}
