using System.Globalization;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>Puts values in places from 0 to 1 along an axis, and names some of them.</summary>
/// <param name="PlaceOf">The place of a value.</param>
/// <param name="Ticks">Places with their labels, in the order of the places.</param>
internal sealed record PlotScale<T>(Func<T, double> PlaceOf, IReadOnlyList<(double Place, string Label)> Ticks);

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
            UniformIntOption { LogBase: true } whole => Places(ScaleTick.PowersOfTwo(whole.Min, whole.Max), value => (int)value),
            UniformIntOption whole => Places(ScaleTick.Linear(whole.Min, whole.Max, whole: true), value => (int)value),
            UniformDoubleOption { LogBase: true } real => Places(ScaleTick.Logarithmic(real.Min, real.Max), value => value),
            UniformDoubleOption real => Places(ScaleTick.Linear(real.Min, real.Max), value => value),
            _ => [.. option.Ends.Select(value => (option.PlaceOf(value), Name(value)))],
        };
        return new PlotScale<object?>(option.PlaceOf, ticks);

        IReadOnlyList<(double, string)> Places(IReadOnlyList<ScaleTick> values, Func<double, object> typed) => [.. values.Select(tick => (option.PlaceOf(typed(tick.Value)), tick.Label))];
    }

    /// <summary>A scale for measured numbers, as wide as they are.</summary>
    /// <param name="values">Finite numbers, at least one.</param>
    /// <param name="isLogarithmic">Wanted; not to be had where a number is negative or none is above 0. A 0 gets a place of its own before the scale.</param>
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
            return new PlotScale<double>(value => (value - least) / (most - least), [.. ScaleTick.Linear(least, most, isWhole).Select(tick => ((tick.Value - least) / (most - least), tick.Label))]);
        }

        double start = positive.Length < numbers.Length ? AfterZero : 0;
        double width = positive.Min() < positive.Max() ? 1 : 2;
        (double from, double to) = (positive.Min() / width, positive.Max() * width);
        double Place(double value) => value <= 0 ? 0 : start + (1 - start) * Math.Log(value / from) / Math.Log(to / from);
        return new PlotScale<double>(Place,
        [
            .. start > 0 ? new[] { (0.0, "0") } : [],
            .. ScaleTick.Logarithmic(from, to).Select(tick => (Place(tick.Value), tick.Label)),
        ]);
    }

    /// <summary>A choice as its axis names it: 1e-5 rather than 1E-05, as long as it is the same number.</summary>
    private static string Name(object? choice) => PlainText.Short(
        Number(choice) is { } number && NumberText.Of(number) is var text && double.Parse(text, CultureInfo.InvariantCulture) == number ? text : ParameterText.Of(choice), 16);

    /// <summary>A parameter as a number; null where it is none.</summary>
    public static double? Number(object? value) => value is double or float or int or long ? Convert.ToDouble(value, CultureInfo.InvariantCulture) : null;
}
