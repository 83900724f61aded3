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
    private readonly Func<Func<IReadOnlyList<string>, IReadOnlyList<ComputedText>>> _open;

    /// <param name="outputColumnName">The computed column; a column of that name in the input is hidden by it, the source too.</param>
    /// <param name="inputColumnName">The source, a column of text.</param>
    /// <param name="batchSize">The most texts that one call of the function gets, at least 1.</param>
    /// <param name="open">
    /// Gives the function: for each text a text, in their order, or what is wrong with it. Asked once for all rows of a cursor, when that
    /// is opened, and for each row that comes alone.
    /// </param>
    /// <param name="inputOption">The name under which a user knows <paramref name="inputColumnName"/>; errors name it.</param>
    public TextColumnMapper(
        string outputColumnName,
        string inputColumnName,
        int batchSize,
        Func<Func<IReadOnlyList<string>, IReadOnlyList<ComputedText>>> open,
        string inputOption = nameof(InputColumnName))
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(outputColumnName);
        ArgumentException.ThrowIfNullOrWhiteSpace(inputColumnName);
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        ArgumentNullException.ThrowIfNull(open);
        OutputColumnName = outputColumnName;
        InputColumnName = inputColumnName;
        BatchSize = batchSize;
        _open = open;
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

    private TextColumnBinding Bind(DataViewSchema input) => new(input, _inputOption, InputColumnName, OutputColumnName, BatchSize, _open);
}

/// <summary>The computed column for single rows that come one at a time, as in a prediction engine.</summary>
internal sealed class TextRowMapper(TextColumnBinding binding) : IRowToRowMapper
{
    public DataViewSchema InputSchema => binding.InputSchema;

    public DataViewSchema OutputSchema => binding.OutputSchema;

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns) =>
        binding.Dependencies(dependingColumns);

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns) => input.Schema == InputSchema
        ? new Row(binding, input, activeColumns.Any(binding.IsComputed))
        : throw new ArgumentException("The row has another schema than the one that this mapper was made for.", nameof(input));

    /// <summary>A view onto the input's row, whatever that is at the moment; its text is computed at most once.</summary>
    private sealed class Row(TextColumnBinding binding, DataViewRow input, bool active) : DataViewRow
    {
        private readonly ValueGetter<ReadOnlyMemory<char>>? _source = active ? input.GetGetter<ReadOnlyMemory<char>>(binding.Source) : null;
        private long? _position;
        private string _sourceText = "";
        private string _text = "";

        public override DataViewSchema Schema => binding.OutputSchema;

        public override long Position => input.Position;

        public override long Batch => input.Batch;

        public override bool IsColumnActive(DataViewSchema.Column column) =>
            binding.IsComputed(column) ? active : input.IsColumnActive(binding.InputSchema[column.Index]);

        public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            if (!binding.IsComputed(column))
            {
                return input.GetGetter<TValue>(binding.InputSchema[column.Index]);
            }

            if (_source is null)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(column), column.Name, "The column is not active in this row; name it when the row is made.");
            }

            ValueGetter<ReadOnlyMemory<char>> text = (ref ReadOnlyMemory<char> value) =>
            {
                Compute(_source);
                value = _text.AsMemory();
            };
            return TextColumnBinding.Cast<TValue>(text, column);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                input.Dispose();
            }

            base.Dispose(disposing);
        }

        private void Compute(ValueGetter<ReadOnlyMemory<char>> source)
        {
            ReadOnlyMemory<char> current = default;
            source(ref current);
            // The text is compared as well: not every kind of row counts its position on.
            if (_position == input.Position && current.Span.SequenceEqual(_sourceText))
            {
                return;
            }

            string sourceText = current.ToString();
            _text = binding.Open()([sourceText])[0].Alone(binding.Source.Name);
            (_sourceText, _position) = (sourceText, input.Position);
        }
    }
}
