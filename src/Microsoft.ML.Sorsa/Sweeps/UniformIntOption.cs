using System.Globalization;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>Whole numbers from <paramref name="min"/> to <paramref name="max"/>, both included, evenly drawn on their scale.</summary>
/// <param name="min">The least value.</param>
/// <param name="max">The largest value; above the least.</param>
/// <param name="logBase">The scale is logarithmic, for values such as ranks, which double rather than grow. Then the least value is above 0.</param>
public sealed class UniformIntOption(int min, int max, bool logBase = false) : ISearchOption
{
    /// <summary>The least value.</summary>
    public int Min { get; } = min;

    /// <summary>The largest value.</summary>
    public int Max { get; } = max;

    /// <summary>Whether the scale is logarithmic.</summary>
    public bool LogBase { get; } = logBase;

    int? ISearchOption.Choices => null;

    IReadOnlyList<object?> ISearchOption.Ends => [Min, Max];

    string ISearchOption.Description => string.Create(CultureInfo.InvariantCulture, $"{(LogBase ? "log-uniform integer" : "uniform integer")} from {Min} to {Max}");

    /// <summary>From end to end: with logBase 4 to 64 in five steps is 4, 8, 16, 32, 64.</summary>
    IReadOnlyList<object?> ISearchOption.Grid(int steps) => steps == 1
        ? [At(0.5)]
        : [.. Enumerable.Range(0, steps).Select(i => Unscale(Scale(Min) + (double)i / (steps - 1) * (Scale(Max) - Scale(Min)))).Select(value => (object?)Rounded(value)).Distinct()];

    object? ISearchOption.At(double place) => At(place);

    double ISearchOption.PlaceOf(object? value) => (Scale((int)value!) - Scale(Min - 0.5)) / (Scale(Max + 0.5) - Scale(Min - 0.5));

    object? ISearchOption.Parse(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    void ISearchOption.Validate(string name)
    {
        if (Min >= Max)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{name}: the range goes from {Min} to {Max}; its end must be above its start. For a single value set the option of the trainer itself."), name);
        }

        if (LogBase && Min <= 0)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{name}: a logarithmic range must start above 0, and this one starts at {Min}. Start it at 1."), name);
        }
    }

    /// <summary>Half a step is added at both ends, so that the ends come as often as what lies between.</summary>
    private int At(double place) => Rounded(Unscale(Scale(Min - 0.5) + place * (Scale(Max + 0.5) - Scale(Min - 0.5))));

    private int Rounded(double value) => (int)Math.Clamp(Math.Round(value), Min, Max);

    private double Scale(double value) => LogBase ? Math.Log(value) : value;

    private double Unscale(double value) => LogBase ? Math.Exp(value) : value;
}
