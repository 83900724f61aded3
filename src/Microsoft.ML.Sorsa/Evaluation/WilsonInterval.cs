namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>
/// The 95 % interval of a share that was counted (Wilson, J. Am. Stat. Assoc. 22, 1927): what shares of a large number of such rows go
/// with what was seen. Unlike p ± 1.96 √(p (1 − p) / n) it stays within 0 and 1, and is not empty where all or none were right.
/// <code>(p + z²/2n ± z √(p (1 − p)/n + z²/4n²)) / (1 + z²/n),     z = 1.96</code>
/// </summary>
internal static class WilsonInterval
{
    /// <summary>The normal distribution's 0.975 quantile.</summary>
    private const double Z = 1.959963984540054;

    /// <param name="right">How many were right.</param>
    /// <param name="count">Of how many; above 0.</param>
    public static (double Lower, double Upper) Of(int right, int count)
    {
        double share = (double)right / count, z2 = Z * Z / count;
        double centre = share + (z2 / 2), reach = Z * Math.Sqrt((share * (1 - share) / count) + (z2 / (4 * count)));

        // The ends of none and of all are 0 and 1; rounding must not take them beyond.
        return (right == 0 ? 0 : (centre - reach) / (1 + z2), right == count ? 1 : (centre + reach) / (1 + z2));
    }
}
