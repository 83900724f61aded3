using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.DataViews;

namespace Microsoft.ML.Sorsa;

/// <summary>Loads JSON-lines files, the usual form of instruction data, which ML.NET has no loader for.</summary>
public static class JsonLinesExtensions
{
    /// <summary>
    /// A JSON-lines file (UTF-8, one JSON object on each line, blank lines skipped) as a data view of text columns. A file that is one JSON
    /// array of objects, or objects spread over several lines, is read as well. It is lazy: the first row is read at once, the others
    /// whenever the view is read, in the file's order and without keeping them.
    /// </summary>
    /// <param name="catalog"><c>mlContext.Data</c>.</param>
    /// <param name="path">The file.</param>
    /// <param name="columns">
    /// The top-level properties to read, each a column of that name. By default all that are strings in the first row. Every row
    /// must have them; a number or a boolean becomes the text that stands in the file.
    /// </param>
    /// <returns>A view that may be read as often as wanted, by several cursors at a time.</returns>
    /// <exception cref="ArgumentException">A column has an empty name, or the same name as another.</exception>
    /// <exception cref="FileNotFoundException">There is no file at <paramref name="path"/>.</exception>
    /// <exception cref="InvalidDataException">
    /// No columns are named and the first row, if there is one, has no string; or a row is not a JSON object in UTF-8, lacks a column
    /// or has another type there. For the first row this is thrown here, for the others by the cursor that comes to them. The
    /// message names the file, the line and the column. What is no JSON at all is called by its name (a CSV, gzip or Parquet file, text in
    /// UTF-16, and others), with what to do.
    /// </exception>
    public static IDataView LoadFromJsonLines(this DataOperationsCatalog catalog, string path, params string[] columns)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(columns);
        if (Array.Exists(columns, string.IsNullOrEmpty))
        {
            throw new ArgumentException("A column's name is empty. Name top-level properties of the file's objects.", nameof(columns));
        }

        if (columns.CountBy(name => name).FirstOrDefault(name => name.Value > 1).Key is { } twice)
        {
            throw new ArgumentException($"The column '{twice}' is named more than once. Name each once.", nameof(columns));
        }

        // Whole, since the view reads the file again later, when the current folder may be another.
        string file = Path.GetFullPath(path);
        return File.Exists(file)
            ? new JsonLinesDataView(file, FirstRow(file, columns))
            : throw new FileNotFoundException($"There is no JSON-lines file '{file}'. Correct the path.", file);
    }

    /// <summary>The columns, checked against the first row.</summary>
    private static IReadOnlyList<string> FirstRow(string path, string[] columns)
    {
        using JsonLinesReader reader = new(path);
        bool any = reader.Read();
        if (columns.Length == 0)
        {
            IReadOnlyList<string> found = any ? reader.StringProperties() : [];
            return found.Count > 0 ? found : throw new InvalidDataException(
                $"'{path}' has {(any ? "no string in its first row" : "no rows")}, so its columns are not known. " +
                ((any ? reader.RowsInside : null) is { } remedy ? $"{remedy}." : $"Name them in {nameof(columns)}."));
        }

        foreach (string column in any ? columns : [])
        {
            _ = reader.Text(column);
        }

        return [.. columns];
    }
}
