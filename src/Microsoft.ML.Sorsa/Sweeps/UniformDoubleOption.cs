using System.Globalization;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>Real values from <paramref name="min"/> to <paramref name="max"/>, evenly drawn on their scale.</summary>
/// <param name="min">The least value.</param>
/// <param name="max">The largest value; above the least.</param>
/// <param name="logBase">The scale is logarithmic, for values such as γ and learning rates, of which the magnitude counts. Then the least value is above 0.</param>
public sealed class UniformDoubleOption(double min, double max, bool logBase = false) : ISearchOption
{
    /// <summary>The least value.</summary>
    public double Min { get; } = min;

    /// <summary>The largest value.</summary>
    public double Max { get; } = max;

    /// <summary>Whether the scale is logarithmic.</summary>
    public bool LogBase { get; } = logBase;

    int? ISearchOption.Choices => null;

    IReadOnlyList<object?> ISearchOption.Ends => [Min, Max];

    string ISearchOption.Description => string.Create(CultureInfo.InvariantCulture, $"{(LogBase ? "log-uniform" : "uniform")} from {Min:R} to {Max:R}");

    IReadOnlyList<object?> ISearchOption.Grid(int steps) => steps == 1 ? [At(0.5)] : [.. Enumerable.Range(0, steps).Select(i => (object?)At((double)i / (steps - 1))).Distinct()];

    object? ISearchOption.At(double place) => At(place);

    double ISearchOption.PlaceOf(object? value) => (Scale((double)value!) - Scale(Min)) / (Scale(Max) - Scale(Min));

    object? ISearchOption.Parse(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    void ISearchOption.Validate(string name)
    {
        if (!double.IsFinite(Min) || !double.IsFinite(Max) || Min >= Max || !double.IsFinite(Max - Min))
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{name}: the range goes from {Min:R} to {Max:R}; its end must be above its start, and both finite. For a single value set the option of the trainer itself."), name);
        }

        if (LogBase && Min <= 0)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{name}: a logarithmic range must start above 0, and this one starts at {Min:R}. Start it at a small number, or add 0 as a {nameof(ChoiceOption)}."), name);
        }
    }

    /// <summary>The ends are met exactly: e^(ln 4e-4) is not 4e-4.</summary>
    private double At(double place) => place <= 0 ? Min : place >= 1 ? Max : Math.Clamp(Unscale(Scale(Min) + place * (Scale(Max) - Scale(Min))), Min, Max);

    private double Scale(double value) => LogBase ? Math.Log(value) : value;

    private double Unscale(double value) => LogBase ? Math.Exp(value) : value;
}
