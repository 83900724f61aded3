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
