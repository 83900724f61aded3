using System.Globalization;
using OxyPlot;
using OxyPlot.Axes;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>Puts values in positions from 0 to 1 along an axis, and names some of them.</summary>
/// <param name="PositionOf">The position of a value.</param>
/// <param name="Ticks">Positions with their labels, in ascending order.</param>
internal sealed record PlotScale<T>(Func<T, double> PositionOf, IReadOnlyList<(double Position, string Label)> Ticks);

/// <summary>Scales of options and of measured numbers.</summary>
internal static class PlotScale
{
    /// <summary>Where a logarithmic scale begins that has a place for 0 before it.</summary>
    private const double AfterZero = 0.12;

    /// <summary>The scale on which an option's values were drawn; of a choice, every value by name.</summary>
    public static PlotScale<object?> Of(ISearchOption option)
    {
        IReadOnlyList<(double, string)> ticks = option switch
        {
            UniformIntOption { LogBase: true } whole => Ticks(ScaleTick.PowersOfTwo(whole.Min, whole.Max), value => (int)value),
            UniformIntOption whole => Ticks(ScaleTick.Linear(whole.Min, whole.Max, whole: true), value => (int)value),
            UniformDoubleOption { LogBase: true } real => Ticks(ScaleTick.Logarithmic(real.Min, real.Max), value => value),
            UniformDoubleOption real => Ticks(ScaleTick.Linear(real.Min, real.Max), value => value),
            _ => [.. option.Ends.Select(value => (option.ToUnitInterval(value), Name(value)))],
        };
        return new PlotScale<object?>(option.ToUnitInterval, ticks);

        IReadOnlyList<(double, string)> Ticks(IReadOnlyList<ScaleTick> values, Func<double, object> typed) =>
            [.. values.Select(tick => (option.ToUnitInterval(typed(tick.Value)), tick.Label))];
    }

    /// <summary>A scale for measured numbers, as wide as they are.</summary>
    /// <param name="values">Finite numbers, at least one.</param>
    /// <param name="isLogarithmic">
    /// Wanted; not to be had where a number is negative or none is above 0. A 0 gets a place of its own before the scale.
    /// </param>
    /// <param name="isWhole">Only whole numbers are named.</param>
    public static PlotScale<double> Of(IEnumerable<double> values, bool isLogarithmic, bool isWhole = false)
    {
        double[] numbers = [.. values];
        if (isLogarithmic && numbers.All(value => value == 0))
        {
            return new PlotScale<double>(_ => 0.5, [(0.5, "0")]);
        }

        double[] positive = [.. numbers.Where(value => value > 0)];
        if (!isLogarithmic || positive.Length == 0 || numbers.Any(value => value < 0))
        {
            (double least, double most) = (numbers.Min(), numbers.Max());
            double margin = least < most ? 0 : isWhole ? 1 : least == 0 ? 1 : Math.Abs(least) * 0.1;
            (least, most) = (least - margin, most + margin);
            double Share(double value) => (value - least) / (most - least);
            return new PlotScale<double>(
                Share, [.. ScaleTick.Linear(least, most, isWhole).Select(tick => (Share(tick.Value), tick.Label))]);
        }

        double start = positive.Length < numbers.Length ? AfterZero : 0;
        double width = positive.Min() < positive.Max() ? 1 : 2;
        (double from, double to) = (positive.Min() / width, positive.Max() * width);
        double Position(double value) => value <= 0 ? 0 : start + (1 - start) * Math.Log(value / from) / Math.Log(to / from);
        return new PlotScale<double>(Position,
        [
            .. start > 0 ? new[] { (0.0, "0") } : [],
            .. ScaleTick.Logarithmic(from, to).Select(tick => (Position(tick.Value), tick.Label)),
        ]);
    }

    /// <summary>A choice as its axis names it: 1e-5 rather than 1E-05, as long as it is the same number.</summary>
    private static string Name(object? choice) => PlainText.Short(
        Number(choice) is { } number && NumberText.Of(number) is var text && double.Parse(text, CultureInfo.InvariantCulture) == number
            ? text
            : ParameterText.Of(choice), 16);

    /// <summary>A parameter as a number; null where it is none.</summary>
    public static double? Number(object? value) =>
        value is double or float or int or long ? Convert.ToDouble(value, CultureInfo.InvariantCulture) : null;
}

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
                .Select(value => new ScaleTick(value, decimals > 5 || Math.Abs(value) >= 1e6
                    ? NumberText.Of(value)
                    : (value == 0 ? 0 : value).ToString("F" + NumberText.Of(decimals), CultureInfo.InvariantCulture))),
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
        ScaleTick[] ticks =
        [
            .. Enumerable.Range(0, 31).Select(i => 1L << i).Where(value => value >= from && value <= to)
                .Select(value => new ScaleTick(value, NumberText.Of(value))),
        ];
        return ticks.Length is > 1 and <= Most + 2 ? ticks : [.. Logarithmic(from, to).Where(tick => tick.Value == Math.Round(tick.Value))];
    }

    private static double[] Within(double from, double to, double[] times) =>
    [
        // Parsed, since 10 to the power of −4 is not 1e-4 to the last bit.
        .. Enumerable.Range((int)Math.Floor(Math.Log10(from)), (int)(Math.Ceiling(Math.Log10(to)) - Math.Floor(Math.Log10(from))) + 1)
            .SelectMany(power => times.Select(time =>
                double.Parse(string.Create(CultureInfo.InvariantCulture, $"{time}e{power}"), CultureInfo.InvariantCulture)))
            .Where(value => value >= from * (1 - 1e-9) && value <= to * (1 + 1e-9)),
    ];
}

/// <summary>An axis over the positions of a <see cref="PlotScale{T}"/>, with its labels.</summary>
internal sealed class ScaleAxis : LinearAxis
{
    private const double Margin = 0.08;

    private readonly IReadOnlyList<(double Position, string Label)> _ticks;

    public ScaleAxis(AxisPosition position, string title, IReadOnlyList<(double Position, string Label)> ticks, double margin = Margin)
    {
        _ticks = ticks;
        Position = position;
        Title = title;
        Minimum = -margin;
        Maximum = 1 + margin;
        AxislineStyle = LineStyle.Solid;
        AxislineColor = TicklineColor = PlotInk.Axis;
        MajorGridlineStyle = LineStyle.Solid;
        MajorGridlineColor = PlotInk.Grid;
        TickStyle = TickStyle.None;
        AxisTitleDistance = position == AxisPosition.Left ? 18 : 8;
    }

    public override void GetTickValues(
        out IList<double> majorLabelValues, out IList<double> majorTickValues, out IList<double> minorTickValues)
    {
        majorTickValues = [.. _ticks.Select(tick => tick.Position)];
        majorLabelValues = Position == AxisPosition.Bottom ? Apart() : majorTickValues;
        minorTickValues = [];
    }

    /// <summary>Of labels side by side those that do not touch; a digit is taken to be as wide as on any machine.</summary>
    private double[] Apart()
    {
        const double LetterWidth = 6.8, Gap = 8;
        double pixels = Math.Abs(ScreenMax.X - ScreenMin.X) / (Maximum - Minimum);
        var shown = new List<double>();
        double end = double.NegativeInfinity;
        foreach ((double position, string label) in _ticks)
        {
            double half = label.Length * LetterWidth / 2;
            if (position * pixels - half >= end + Gap || pixels == 0)
            {
                shown.Add(position);
                end = position * pixels + half;
            }
        }

        return [.. shown];
    }

    protected override string FormatValueOverride(double x) => _ticks.MinBy(tick => Math.Abs(tick.Position - x)).Label;
}
