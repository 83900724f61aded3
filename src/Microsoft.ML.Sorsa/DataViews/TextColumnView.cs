using Microsoft.ML.Data;

namespace Microsoft.ML.Sorsa.DataViews;

/// <summary>Data with the computed column: as long, and as shuffled, as their input.</summary>
internal sealed class TextColumnView(TextColumnBinding binding, IDataView input) : IDataView
{
    public DataViewSchema Schema => binding.OutputSchema;

    public bool CanShuffle => input.CanShuffle;

    public long? GetRowCount() => input.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        DataViewSchema.Column[] needed = [.. columnsNeeded];
        return new TextColumnCursor(binding, input.GetRowCursor(binding.Dependencies(needed), rand), needed);
    }

    // There is one model on one device: parallel cursors would only compete for it, and how many there are is no more than advice.
    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];
}

/// <summary>
/// Reads as many rows ahead as make a batch and keeps all that is needed of them, for the input's cursor cannot go back; the batch's
/// texts are computed when the first of them is asked for. Where nobody needs the computed column a batch is one row.
/// </summary>
internal sealed class TextColumnCursor : DataViewRowCursor
{
    private readonly TextColumnBinding _binding;
    private readonly DataViewRowCursor _input;
    private readonly Func<IReadOnlyList<string>, IReadOnlyList<ComputedText>> _map;
    private readonly bool[] _active;                // by the output's columns
    private readonly ColumnBuffer?[] _columns;      // by the input's columns; null where not needed
    private readonly ColumnBuffer<DataViewRowId> _ids;
    private readonly long[] _batches;               // ML.NET's Batch of each row, a mark for merging cursors; not ours
    private IReadOnlyList<ComputedText>? _texts;    // of the rows in the buffers, once computed
    private int _count;                             // rows in the buffers
    private int _row = -1;                          // the current one of them
    private long _position = -1;

    public TextColumnCursor(
        TextColumnBinding binding, DataViewRowCursor input, IReadOnlyCollection<DataViewSchema.Column> needed)
    {
        _binding = binding;
        _input = input;
        _map = binding.Open();
        _active = new bool[binding.OutputSchema.Count];
        foreach (DataViewSchema.Column column in needed)
        {
            _active[column.Index] = true;
        }

        int capacity = needed.Any(binding.IsComputed) ? binding.BatchSize : 1;
        _columns = new ColumnBuffer?[binding.InputSchema.Count];
        foreach (DataViewSchema.Column column in binding.Dependencies(needed))
        {
            _columns[column.Index] = ColumnBuffer.Create(input, column, capacity);
        }

        _ids = new ScalarBuffer<DataViewRowId>(input.GetIdGetter(), capacity);
        _batches = new long[capacity];
    }

    public override DataViewSchema Schema => _binding.OutputSchema;

    public override long Position => _position;

    public override long Batch => _batches[CurrentRow()];

    public override bool IsColumnActive(DataViewSchema.Column column) => _active[column.Index];

    public override bool MoveNext()
    {
        if (++_row >= _count)
        {
            ReadAhead();
        }

        _position = _count > 0 ? _position + 1 : -1;
        return _count > 0;
    }

    public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId value) => _ids.Get(CurrentRow(), ref value);

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!_active[column.Index])
        {
            throw new ArgumentOutOfRangeException(
                nameof(column), column.Name, "The column is not active in this cursor; name it when the cursor is made.");
        }

        if (_binding.IsComputed(column))
        {
            ValueGetter<ReadOnlyMemory<char>> text = (ref ReadOnlyMemory<char> value) => value = Text(CurrentRow()).AsMemory();
            return TextColumnBinding.Cast<TValue>(text, column);
        }

        ColumnBuffer buffer = _columns[column.Index]!;
        return TextColumnBinding.Cast<TValue>(buffer.MakeGetter(CurrentRow), column);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _input.Dispose();
        }

        base.Dispose(disposing);
    }

    private void ReadAhead()
    {
        _texts = null;
        _row = 0;
        for (_count = 0; _count < _batches.Length && _input.MoveNext(); _count++)
        {
            foreach (ColumnBuffer? column in _columns)
            {
                column?.Read(_count);
            }

            _ids.Read(_count);
            _batches[_count] = _input.Batch;
        }
    }

    private string Text(int row)
    {
        if (_texts is null)
        {
            var sources = (ColumnBuffer<ReadOnlyMemory<char>>)_columns[_binding.Source.Index]!;
            var texts = new string[_count];
            for (int i = 0; i < texts.Length; i++)
            {
                ReadOnlyMemory<char> source = default;
                sources.Get(i, ref source);
                texts[i] = source.ToString();
            }

            _texts = _map(texts);
        }

        // A row without a text keeps the others of its batch from nothing.
        return _texts[row].OfRow(_position + 1, _binding.Source.Name);
    }

    private int CurrentRow() => _position >= 0
        ? _row
        : throw new InvalidOperationException("The cursor stands on no row: MoveNext has not been called, or it returned false.");
}
