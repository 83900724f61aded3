using System.Globalization;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// The values that an option of the trainer may take in a sweep: <see cref="UniformDoubleOption"/>, <see cref="UniformIntOption"/> or
/// <see cref="ChoiceOption"/>.
/// </summary>
public interface ISearchOption
{
    /// <summary>How many choices there are; null for a range, whose values have an order.</summary>
    internal int? Choices { get; }

    /// <summary>Least and largest value, or every choice: what must be valid for the trainer if all between is.</summary>
    internal IReadOnlyList<object?> Ends { get; }

    /// <summary>At most so many values, evenly spaced on the option's own scale; all choices.</summary>
    internal IReadOnlyList<object?> Grid(int steps);

    /// <summary>
    /// The value for a number from 0 up to, not including, 1. Equal parts of that interval are equally long parts of the option's own
    /// scale; each choice has an equal part.
    /// </summary>
    internal object? FromUnitInterval(double u);

    /// <summary>The number from 0 to 1 that gives a value; for a choice the middle of its part.</summary>
    internal double ToUnitInterval(object? value);

    /// <summary>The value that <see cref="ParameterText.Of"/> wrote.</summary>
    /// <exception cref="InvalidDataException">It is none of the option's values.</exception>
    internal object? Parse(string text);

    /// <summary>Everything that decides the values, as a study writes it down.</summary>
    internal string Description { get; }

    /// <summary>Refuses ranges without a value.</summary>
    /// <param name="name">The option's name, for the message.</param>
    internal void Validate(string name);
}

/// <summary>One of several values, without an order between them.</summary>
public sealed class ChoiceOption : ISearchOption
{
    private readonly string[] _texts;

    /// <param name="values">
    /// Numbers, booleans, members of an enumeration, null, or lists of texts such as <c>new[] { "q_proj", "v_proj" }</c>; at least one.
    /// </param>
    /// <remarks>C# takes a single array for the values themselves: of one list only, write <c>new ChoiceOption((object)list)</c>.</remarks>
    /// <exception cref="ArgumentException">A value is of another type.</exception>
    public ChoiceOption(params object?[] values)
    {
        ArgumentNullException.ThrowIfNull(values);
        Values = [.. values];
        _texts = [.. Values.Select(ParameterText.Of)];
    }

    /// <summary>The values.</summary>
    public IReadOnlyList<object?> Values { get; }

    int? ISearchOption.Choices => Values.Count;

    IReadOnlyList<object?> ISearchOption.Ends => Values;

    string ISearchOption.Description => "choice of " + string.Join(" | ", _texts);

    IReadOnlyList<object?> ISearchOption.Grid(int steps) => Values;

    object? ISearchOption.FromUnitInterval(double u) => Values[Math.Clamp((int)(u * Values.Count), 0, Values.Count - 1)];

    double ISearchOption.ToUnitInterval(object? value) => (Array.IndexOf(_texts, ParameterText.Of(value)) + 0.5) / Values.Count;

    object? ISearchOption.Parse(string text) => Array.IndexOf(_texts, text) is var found && found >= 0
        ? Values[found]
        : throw new InvalidDataException($"'{text}' is none of the choices {string.Join(", ", _texts.Select(choice => $"'{choice}'"))}.");

    void ISearchOption.Validate(string name)
    {
        if (Values.Count == 0)
        {
            throw new ArgumentException($"{name}: there is no choice. Name at least one value.", name);
        }

        if (_texts.GroupBy(text => text, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"{name}: the choice '{twice.Key}' is there twice. Name each value once.", name);
        }
    }
}

/// <summary>Real values from <paramref name="min"/> to <paramref name="max"/>, evenly drawn on their scale.</summary>
/// <param name="min">The least value.</param>
/// <param name="max">The largest value; above the least.</param>
/// <param name="logBase">
/// The scale is logarithmic, for values such as γ and learning rates, of which the magnitude counts. Then the least value is above 0.
/// </param>
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

    string ISearchOption.Description =>
        string.Create(CultureInfo.InvariantCulture, $"{(LogBase ? "log-uniform" : "uniform")} from {Min:R} to {Max:R}");

    IReadOnlyList<object?> ISearchOption.Grid(int steps) => steps == 1
        ? [FromUnitInterval(0.5)]
        : [.. Enumerable.Range(0, steps).Select(i => (object?)FromUnitInterval((double)i / (steps - 1))).Distinct()];

    object? ISearchOption.FromUnitInterval(double u) => FromUnitInterval(u);

    double ISearchOption.ToUnitInterval(object? value) => (Scale((double)value!) - Scale(Min)) / (Scale(Max) - Scale(Min));

    object? ISearchOption.Parse(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value >= Min && value <= Max
            ? value
            : throw new InvalidDataException(
                string.Create(CultureInfo.InvariantCulture, $"'{text}' is no number from {Min:R} to {Max:R}."));

    void ISearchOption.Validate(string name)
    {
        if (!double.IsFinite(Min) || !double.IsFinite(Max) || Min >= Max || !double.IsFinite(Max - Min))
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"{name}: the range goes from {Min:R} to {Max:R}; its end must be above its start, and both finite. "
                + $"For a single value set the option of the trainer itself."), name);
        }

        if (LogBase && Min <= 0)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"{name}: a logarithmic range must start above 0, and this one starts at {Min:R}. "
                + $"Start it at a small number, or add 0 as a {nameof(ChoiceOption)}."), name);
        }
    }

    /// <summary>The ends are met exactly: e^(ln 4e-4) is not 4e-4.</summary>
    private double FromUnitInterval(double u) =>
        u <= 0 ? Min : u >= 1 ? Max : Math.Clamp(Unscale(Scale(Min) + u * (Scale(Max) - Scale(Min))), Min, Max);

    private double Scale(double value) => LogBase ? Math.Log(value) : value;

    private double Unscale(double value) => LogBase ? Math.Exp(value) : value;
}

/// <summary>Whole numbers from <paramref name="min"/> to <paramref name="max"/>, both included, evenly drawn on their scale.</summary>
/// <param name="min">The least value.</param>
/// <param name="max">The largest value; above the least.</param>
/// <param name="logBase">
/// The scale is logarithmic, for values such as ranks, which double rather than grow. Then the least value is above 0.
/// </param>
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

    string ISearchOption.Description =>
        string.Create(CultureInfo.InvariantCulture, $"{(LogBase ? "log-uniform integer" : "uniform integer")} from {Min} to {Max}");

    /// <summary>From end to end: with logBase 4 to 64 in five steps is 4, 8, 16, 32, 64.</summary>
    IReadOnlyList<object?> ISearchOption.Grid(int steps) => steps == 1
        ? [FromUnitInterval(0.5)]
        :
        [
            .. Enumerable.Range(0, steps).Select(i => Unscale(Scale(Min) + (double)i / (steps - 1) * (Scale(Max) - Scale(Min))))
                .Select(value => (object?)Rounded(value)).Distinct(),
        ];

    object? ISearchOption.FromUnitInterval(double u) => FromUnitInterval(u);

    double ISearchOption.ToUnitInterval(object? value) => (Scale((int)value!) - Scale(Min - 0.5)) / (Scale(Max + 0.5) - Scale(Min - 0.5));

    object? ISearchOption.Parse(string text) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) && value >= Min && value <= Max
            ? value
            : throw new InvalidDataException(
                string.Create(CultureInfo.InvariantCulture, $"'{text}' is no whole number from {Min} to {Max}."));

    void ISearchOption.Validate(string name)
    {
        if (Min >= Max)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"{name}: the range goes from {Min} to {Max}; its end must be above its start. "
                + $"For a single value set the option of the trainer itself."), name);
        }

        if (LogBase && Min <= 0)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"{name}: a logarithmic range must start above 0, and this one starts at {Min}. Start it at 1."), name);
        }
    }

    /// <summary>Half a step is added at both ends, so that the ends come as often as what lies between.</summary>
    private int FromUnitInterval(double u) => Rounded(Unscale(Scale(Min - 0.5) + u * (Scale(Max + 0.5) - Scale(Min - 0.5))));

    private int Rounded(double value) => (int)Math.Clamp(Math.Round(value), Min, Max);

    private double Scale(double value) => LogBase ? Math.Log(value) : value;

    private double Unscale(double value) => LogBase ? Math.Exp(value) : value;
}
