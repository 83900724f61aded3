using Microsoft.ML.Data;

namespace Microsoft.ML.Sorsa.DataViews;

/// <summary>
/// Where the two columns stand, and the function between them. The output's schema is the input's with the computed column at its end.
/// </summary>
internal sealed class TextColumnBinding
{
    private readonly Func<Func<IReadOnlyList<string>, IReadOnlyList<ComputedText>>> _open;

    /// <inheritdoc cref="TextColumnMapper(string, string, int, Func{Func{IReadOnlyList{string}, IReadOnlyList{ComputedText}}}, string)"/>
    public TextColumnBinding(
        DataViewSchema input, string inputOption, string inputColumnName, string outputColumnName, int batchSize,
        Func<Func<IReadOnlyList<string>, IReadOnlyList<ComputedText>>> open)
    {
        _open = open;
        BatchSize = batchSize;
        InputSchema = input;
        Source = TextColumns.Find(input, inputOption, inputColumnName);
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(input);
        builder.AddColumn(outputColumnName, TextDataViewType.Instance);
        OutputSchema = builder.ToSchema();
    }

    public DataViewSchema InputSchema { get; }

    /// <summary>One instance: ML.NET compares the schemas of neighbours in a chain by reference.</summary>
    public DataViewSchema OutputSchema { get; }

    /// <summary>The column of the input that the computed one is made of.</summary>
    public DataViewSchema.Column Source { get; }

    /// <summary>The most texts that one call of the function gets.</summary>
    public int BatchSize { get; }

    /// <summary>The function as it is now. It throws where it does not give as many texts as it got.</summary>
    public Func<IReadOnlyList<string>, IReadOnlyList<ComputedText>> Open()
    {
        Func<IReadOnlyList<string>, IReadOnlyList<ComputedText>> map = _open();
        return texts =>
        {
            IReadOnlyList<ComputedText> mapped = map(texts);
            return mapped.Count == texts.Count
                ? mapped
                : throw new InvalidOperationException(
                    $"The function that computes the column '{OutputSchema[InputSchema.Count].Name}' got {texts.Count} texts and gave "
                    + $"{mapped.Count}; it must give one for each.");
        };
    }

    /// <summary>Whether the column of the output schema is the computed one; any other has its index in the input too.</summary>
    public bool IsComputed(DataViewSchema.Column column) => column.Index == InputSchema.Count;

    /// <summary>The columns of the input without which those of the output cannot be had, each once.</summary>
    public IEnumerable<DataViewSchema.Column> Dependencies(IEnumerable<DataViewSchema.Column> outputColumns)
    {
        var needed = outputColumns.Select(column => IsComputed(column) ? Source.Index : column.Index).ToHashSet();
        return InputSchema.Where(column => needed.Contains(column.Index));
    }

    /// <summary>A getter under the type that its caller asks for.</summary>
    /// <exception cref="InvalidOperationException">The column holds another type.</exception>
    public static ValueGetter<TValue> Cast<TValue>(Delegate getter, DataViewSchema.Column column) => getter as ValueGetter<TValue>
        ?? throw new InvalidOperationException(
            $"The column '{column.Name}' is of type {column.Type} and is read as {column.Type.RawType}, "
            + $"but a getter for {typeof(TValue)} was asked for.");
}
