using Microsoft.ML.Data;

namespace Microsoft.ML.Sorsa.DataViews;

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
            _text = binding.Map([sourceText])[0];
            (_sourceText, _position) = (sourceText, input.Position);
        }
    }
}
