using System.Globalization;

namespace Microsoft.ML.Sorsa.DataViews;

/// <summary>What the function of a computed column gives for one row: a text, or why there is none.</summary>
/// <param name="Text">The text; empty where there is none.</param>
/// <param name="Refusal">What is wrong with the row's source, as the end of a sentence about it; null: nothing.</param>
internal readonly record struct ComputedText(string Text, string? Refusal = null)
{
    /// <summary>The text of a row, by its number in the data, counted from 1.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public string OfRow(long row, string column) => Refusal is null
        ? Text
        : throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"Row {row}: the text of '{column}' {Refusal}"));

    /// <summary>The text of a row that comes alone.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public string Alone(string column) => Refusal is null ? Text : throw new ArgumentException($"The text of '{column}' {Refusal}");
}
