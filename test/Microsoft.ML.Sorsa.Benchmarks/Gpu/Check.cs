namespace Microsoft.ML.Sorsa.Benchmarks.Gpu;

/// <summary>What a row must meet.</summary>
internal static class Check
{
    /// <exception cref="InvalidDataException">It does not hold.</exception>
    public static void That(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new InvalidDataException(otherwise);
        }
    }

    /// <exception cref="InvalidDataException">The value is above the limit, or not a number.</exception>
    public static void Within(double value, double limit, string what) =>
        That(value <= limit, FormattableString.Invariant($"{what} is off by {value:0.0e0}, and {limit:0.0e0} is allowed"));
}
