using Microsoft.ML.Data;

namespace Microsoft.ML.Sorsa.DataViews;

/// <summary>
/// Adds one column of text that is computed from another one: what ML.NET asks of a transformer, around a function from texts to
/// texts that is slow and likes batches. A transformer hands its members on to the methods here of the same names.
/// </summary>
/// <remarks>The object has no state of its own; the function may be called by several threads if several cursors are open.</remarks>
internal sealed class TextColumnMapper
{
    private readonly string _inputOption;
    private readonly Func<IReadOnlyList<string>, IReadOnlyList<string>> _map;

    /// <param name="outputColumnName">The computed column; a column of that name in the input is hidden by it, the source too.</param>
    /// <param name="inputColumnName">The source, a column of text.</param>
    /// <param name="batchSize">The most texts that one call of <paramref name="map"/> gets, at least 1.</param>
    /// <param name="map">Gives a text for each text, in their order.</param>
    /// <param name="inputOption">The name under which a user knows <paramref name="inputColumnName"/>; errors name it.</param>
    public TextColumnMapper(
        string outputColumnName,
        string inputColumnName,
        int batchSize,
        Func<IReadOnlyList<string>, IReadOnlyList<string>> map,
        string inputOption = nameof(InputColumnName))
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(outputColumnName);
        ArgumentException.ThrowIfNullOrWhiteSpace(inputColumnName);
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        ArgumentNullException.ThrowIfNull(map);
        OutputColumnName = outputColumnName;
        InputColumnName = inputColumnName;
        BatchSize = batchSize;
        _map = map;
        _inputOption = inputOption;
    }

    public string OutputColumnName { get; }

    public string InputColumnName { get; }

    public int BatchSize { get; }

    /// <exception cref="ArgumentOutOfRangeException">The source is not there or is not text.</exception>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => Bind(inputSchema).OutputSchema;

    /// <summary>
    /// The rows with their new column. Nothing is computed before somebody asks for a text; then the up to
    /// <see cref="BatchSize"/> rows that the cursor has read ahead are computed at once.
    /// </summary>
    /// <inheritdoc cref="GetOutputSchema"/>
    public IDataView Transform(IDataView input) => new TextColumnView(Bind(input.Schema), input);

    /// <summary>Row by row, each computed alone: for <see cref="PredictionEngine{TSrc,TDst}"/>.</summary>
    /// <inheritdoc cref="GetOutputSchema"/>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => new TextRowMapper(Bind(inputSchema));

    private TextColumnBinding Bind(DataViewSchema input) => new(input, _inputOption, InputColumnName, OutputColumnName, BatchSize, _map);
}
