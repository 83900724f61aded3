namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>One of several values, without an order between them.</summary>
public sealed class ChoiceOption : ISearchOption
{
    private readonly string[] _texts;

    /// <param name="values">Numbers, booleans, members of an enumeration, null, or lists of texts such as <c>new[] { "q_proj", "v_proj" }</c>; at least one.</param>
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

    object? ISearchOption.At(double place) => Values[Math.Clamp((int)(place * Values.Count), 0, Values.Count - 1)];

    double ISearchOption.PlaceOf(object? value) => (Array.IndexOf(_texts, ParameterText.Of(value)) + 0.5) / Values.Count;

    object? ISearchOption.Parse(string text) => Array.IndexOf(_texts, text) is var found && found >= 0
        ? Values[found]
        : throw new InvalidDataException($"'{text}' is none of the choices {string.Join(", ", _texts)}.");

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
