namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>The values that an option of the trainer may take in a sweep: <see cref="UniformDoubleOption"/>, <see cref="UniformIntOption"/> or <see cref="ChoiceOption"/>.</summary>
public interface ISearchOption
{
    /// <summary>The values between which only order matters: how many there are, where there is no order; null where there is one.</summary>
    internal int? Choices { get; }

    /// <summary>Least and largest value, or every choice: what must be valid for the trainer if all between is.</summary>
    internal IReadOnlyList<object?> Ends { get; }

    /// <summary>At most so many values, evenly spaced on the option's own scale; all choices.</summary>
    internal IReadOnlyList<object?> Grid(int steps);

    /// <summary>The value at a place from 0 up to, not including, 1.</summary>
    internal object? At(double place);

    /// <summary>The place of a value; of a choice the middle of its share.</summary>
    internal double PlaceOf(object? value);

    /// <summary>The value that <see cref="ParameterText.Of"/> wrote.</summary>
    internal object? Parse(string text);

    /// <summary>Everything that decides the values, as a study writes it down.</summary>
    internal string Description { get; }

    /// <summary>Refuses ranges without a value.</summary>
    /// <param name="name">The option's name, for the message.</param>
    internal void Validate(string name);
}
