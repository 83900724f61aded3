using Microsoft.ML.Data;

namespace Microsoft.ML.Sorsa.Tool.Inputs;

/// <summary>Rows from a file or a folder, as ML.NET reads them.</summary>
internal static class RowFile
{
    private const int MostColumns = 3;

    private static readonly string[] s_json = [".jsonl", ".ndjson", ".json"], s_tables = [".csv", ".tsv"];

    private static readonly string[] s_validationNames = ["validation", "valid", "val", "dev"];

    /// <summary>The rows to train on and those that are not, as the settings name them.</summary>
    /// <exception cref="CommandException">A file is not there, or is none with rows.</exception>
    public static (IDataView Train, IDataView? Validation) Load(MLContext context, RunSettings settings)
    {
        string[] columns = [settings.Options.PromptColumnName, settings.Options.ResponseColumnName];
        (string[] train, string[] validation) = Files(settings.Data!);
        validation = settings.ValidationData is { } named ? All(named) : validation;
        IDataView rows = Load(context, train, columns);
        if (settings.ValidationFraction > 0)
        {
            DataOperationsCatalog.TrainTestData share =
                context.Data.TrainTestSplit(rows, settings.ValidationFraction, seed: settings.Options.Seed);
            return (share.TrainSet, share.TestSet);
        }

        return (rows, validation.Length == 0 ? null : Load(context, validation, columns));
    }

    /// <summary>All rows of a file, or of the files of a folder.</summary>
    public static IDataView Load(MLContext context, string path, params IReadOnlyList<string> columns) =>
        Load(context, All(path), [.. columns.Distinct(StringComparer.Ordinal)]);

    /// <summary>The files of a path: itself, or all files with rows in a folder, in the order of their names.</summary>
    public static string[] All(string path) => Directory.Exists(path) ? InFolder(path) : [Known(path)];

    /// <summary>The names of the columns of text.</summary>
    public static IReadOnlyList<string> Columns(MLContext context, string file)
    {
        if (IsTable(file))
        {
            return CsvReader.Read(file).First();
        }

        // JSON has the columns' names in the rows.
        return File.ReadLines(file).All(string.IsNullOrWhiteSpace)
            ? throw NoRows(file)
            : [.. context.Data.LoadFromJsonLines(file).Schema.Select(column => column.Name)];
    }

    private static (string[] Train, string[] Validation) Files(string path)
    {
        if (!Directory.Exists(path))
        {
            return ([Known(path)], []);
        }

        string[] all = InFolder(path);
        string[] Named(params string[] names) =>
            [.. all.Where(file => names.Contains(Path.GetFileNameWithoutExtension(file), StringComparer.OrdinalIgnoreCase))];
        string[] train = Named("train");
        return train.Length == 0 ? (all, []) : (train, Named(s_validationNames));
    }

    private static string[] InFolder(string folder)
    {
        string[] files = [.. Directory.EnumerateFiles(folder).Where(IsKnown).Order(StringComparer.Ordinal)];
        return files.Length > 0 ? files : throw new CommandException(ExitCode.Input,
            $"The folder '{folder}' has no file with rows. Put {string.Join(", ", [.. s_json, .. s_tables])} files there, or name one.");
    }

    private static string Known(string path) =>
        !File.Exists(path)
        ? throw new CommandException(ExitCode.Input, $"There is no file '{path}' with rows. Correct the path.")
        : IsKnown(path) ? path : throw new CommandException(ExitCode.Input,
            $"'{path}' is named as no kind of file that is read: {string.Join(", ", [.. s_json, .. s_tables])}. Rename it if it is one of "
            + "them; else write its rows as JSON lines (pandas: frame.to_json(path, orient='records', lines=True)).");

    private static bool IsKnown(string file) =>
        s_json.Concat(s_tables).Contains(Path.GetExtension(file), StringComparer.OrdinalIgnoreCase);

    private static bool IsTable(string file) => s_tables.Contains(Path.GetExtension(file), StringComparer.OrdinalIgnoreCase);

    /// <summary>The rows of files, at least one.</summary>
    private static IDataView Load(MLContext context, string[] files, string[] columns)
    {
        IDataView rows = View(context, files, columns);
        using DataViewRowCursor first = rows.GetRowCursor(rows.Schema);
        return first.MoveNext() ? rows : throw NoRows(string.Join("', '", files.Take(10)));
    }

    private static CommandException NoRows(string file) => new(ExitCode.Input, $"'{file}' has no rows. Name a file with some.");

    private static IDataView View(MLContext context, string[] files, string[] columns)
    {
        if (files is [var single] && !IsTable(single))
        {
            return context.Data.LoadFromJsonLines(single, columns);
        }

        if (columns.Length > MostColumns)
        {
            throw new ArgumentException($"There are {columns.Length} columns; at most {MostColumns} are read.", nameof(columns));
        }

        // What can be seen at once is seen at once: the columns of every file.
        IEnumerable<string[]>[] rows = [.. files.Select(file => Rows(context, file, columns))];
        SchemaDefinition schema = SchemaDefinition.Create(typeof(Row));
        schema.RemoveRange(columns.Length, MostColumns - columns.Length);
        foreach ((string column, int i) in columns.Select((column, i) => (column, i)))
        {
            schema[i].ColumnName = column;
        }

        return context.Data.LoadFromEnumerable(rows.SelectMany(file => file).Select(Row.Of), schema);
    }

    private static IEnumerable<string[]> Rows(MLContext context, string file, string[] columns)
    {
        if (!IsTable(file))
        {
            IDataView view = context.Data.LoadFromJsonLines(file, columns);
            return Cells(view);
        }

        string[] header = CsvReader.Read(file).First();
        int[] places = [.. columns.Select(column => Place(header, column, file))];
        return CsvReader.Read(file).Skip(1).Select(cells => Array.ConvertAll(places, place => cells[place]));
    }

    private static IEnumerable<string[]> Cells(IDataView view)
    {
        using DataViewRowCursor cursor = view.GetRowCursor(view.Schema);
        ValueGetter<ReadOnlyMemory<char>>[] getters = [.. view.Schema.Select(cursor.GetGetter<ReadOnlyMemory<char>>)];
        while (cursor.MoveNext())
        {
            yield return Array.ConvertAll(getters, get =>
            {
                ReadOnlyMemory<char> cell = default;
                get(ref cell);
                return cell.ToString();
            });
        }
    }

    private static int Place(string[] header, string column, string file) =>
        Array.IndexOf(header, column) is >= 0 and var place ? place : throw new CommandException(ExitCode.Usage,
            $"'{file}' has no column '{column}'; it has {string.Join(", ", header.Take(10).Select(name => $"'{name}'"))}. "
            + "Name the columns with --prompt-column-name and --response-column-name.");

    /// <summary>As many texts as are needed, under the names of the columns.</summary>
    private sealed class Row
    {
        public string First { get; set; } = "";

        public string Second { get; set; } = "";

        public string Third { get; set; } = "";

        public static Row Of(string[] cells) => new()
        {
            First = cells[0],
            Second = cells.ElementAtOrDefault(1) ?? "",
            Third = cells.ElementAtOrDefault(2) ?? "",
        };
    }
}
