using System.Globalization;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>A value that an axis names.</summary>
/// <param name="Value">The value.</param>
/// <param name="Label">What is written beside it.</param>
internal sealed record ScaleTick(double Value, string Label)
{
    private const int Most = 8;

    /// <summary>Round values from end to end, 1, 2 or 5 times a power of ten apart.</summary>
    public static IReadOnlyList<ScaleTick> Linear(double from, double to, bool whole = false)
    {
        double raw = (to - from) / 5;
        double power = Math.Pow(10, Math.Floor(Math.Log10(raw)));
        double step = new[] { 1.0, 2, 5, 10 }.First(times => times * power >= raw * 0.999) * power;
        step = whole ? Math.Max(1, step) : step;
        int decimals = (int)Math.Max(0, -Math.Floor(Math.Log10(step) + 1e-9));
        return
        [
            .. Enumerable.Range(0, Most + 2)
                .Select(i => (Math.Ceiling(from / step - 1e-9) + i) * step)
                .Where(value => value <= to + step * 1e-9)
                .Select(value => new ScaleTick(value, decimals > 5 || Math.Abs(value) >= 1e6 ? NumberText.Of(value) : (value == 0 ? 0 : value).ToString("F" + NumberText.Of(decimals), CultureInfo.InvariantCulture))),
        ];
    }

    /// <summary>Powers of ten; where there are too few of them, 1, 2 and 5 times those, or round values.</summary>
    public static IReadOnlyList<ScaleTick> Logarithmic(double from, double to)
    {
        double[] decades = Within(from, to, [1]);
        if (decades.Length > Most)
        {
            int every = (decades.Length + Most - 1) / Most;
            decades = [.. decades.Where((_, i) => i % every == 0)];
        }

        double[] values = decades.Length > 2 ? decades : Within(from, to, [1, 2, 5]);
        return values.Length > 2 ? [.. values.Select(value => new ScaleTick(value, NumberText.Of(value)))] : Linear(from, to);
    }

    /// <summary>For ranks, which double: powers of two, unless there are too many or too few.</summary>
    public static IReadOnlyList<ScaleTick> PowersOfTwo(int from, int to)
    {
        ScaleTick[] ticks = [.. Enumerable.Range(0, 31).Select(i => 1L << i).Where(value => value >= from && value <= to).Select(value => new ScaleTick(value, NumberText.Of(value)))];
        return ticks.Length is > 1 and <= Most + 2 ? ticks : [.. Logarithmic(from, to).Where(tick => tick.Value == Math.Round(tick.Value))];
    }

    private static double[] Within(double from, double to, double[] times) =>
    [
        // Parsed, since 10 to the power of −4 is not 1e-4 to the last bit.
        .. Enumerable.Range((int)Math.Floor(Math.Log10(from)), (int)(Math.Ceiling(Math.Log10(to)) - Math.Floor(Math.Log10(from))) + 1)
            .SelectMany(power => times.Select(time => double.Parse(string.Create(CultureInfo.InvariantCulture, $"{time}e{power}"), CultureInfo.InvariantCulture)))
            .Where(value => value >= from * (1 - 1e-9) && value <= to * (1 + 1e-9)),
    ];
}
