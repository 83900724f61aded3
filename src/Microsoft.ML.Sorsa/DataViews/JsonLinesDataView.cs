using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Data;

namespace Microsoft.ML.Sorsa.DataViews;

/// <summary>
/// A JSON-lines file as text columns. Nothing is kept: every cursor opens the file and reads it line by line, in its order.
/// </summary>
internal sealed class JsonLinesDataView(string path, IReadOnlyList<string> columns) : IDataView
{
    public DataViewSchema Schema { get; } = TextColumns(columns);

    /// <summary>False: ML.NET then shuffles through a pool of rows of its own.</summary>
    public bool CanShuffle => false;

    public long? GetRowCount() => null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null) =>
        new Cursor(path, Schema, columnsNeeded);

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];

    private static DataViewSchema TextColumns(IReadOnlyList<string> columns)
    {
        DataViewSchema.Builder schema = new();
        foreach (string column in columns)
        {
            schema.AddColumn(column, TextDataViewType.Instance);
        }

        return schema.ToSchema();
    }

    private sealed class Cursor : DataViewRowCursor
    {
        private readonly JsonLinesReader reader;
        private readonly bool[] active;
        private long position = -1;

        public Cursor(string path, DataViewSchema schema, IEnumerable<DataViewSchema.Column> columnsNeeded)
        {
            Schema = schema;
            active = new bool[schema.Count];
            foreach (DataViewSchema.Column column in columnsNeeded)
            {
                active[Own(column)] = true;
            }

            reader = new JsonLinesReader(path);
        }

        public override DataViewSchema Schema { get; }

        public override long Position => position;

        public override long Batch => 0;

        public override bool IsColumnActive(DataViewSchema.Column column) => active[Own(column)];

        public override bool MoveNext()
        {
            bool read = reader.Read();
            position = read ? position + 1 : -1;
            return read;
        }

        public override ValueGetter<DataViewRowId> GetIdGetter() =>
            (ref DataViewRowId id) => id = new DataViewRowId((ulong)position, 0);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            if (!IsColumnActive(column))
            {
                throw new InvalidOperationException($"The column '{column.Name}' was not asked for when the cursor was made.");
            }

            ValueGetter<ReadOnlyMemory<char>> text = (ref ReadOnlyMemory<char> value) => value = reader.Text(column.Name).AsMemory();
            return text as ValueGetter<TValue> ?? throw new InvalidOperationException(
                $"The column '{column.Name}' is text ({typeof(ReadOnlyMemory<char>)}), not {typeof(TValue)}.");
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                reader.Dispose();
            }

            base.Dispose(disposing);
        }

        private int Own(DataViewSchema.Column column) => column.Index < active.Length && Schema[column.Index].Name == column.Name
            ? column.Index
            : throw new ArgumentException($"The column '{column.Name}' is not one of this file's.", nameof(column));
    }
}
