using System.Text;

namespace Microsoft.ML.Sorsa.Tool.Inputs;

/// <summary>
/// Tables of text (RFC 4180, UTF-8): cells between commas, semicolons or tabs, in quotes where they hold one of these, a quote (written
/// twice) or a line break. Each row has as many cells as the first, which names the columns.
/// </summary>
internal static class CsvReader
{
    /// <summary>The rows, the names first, one at a time.</summary>
    /// <exception cref="CommandException">The file is empty, is not UTF-8, or a row has another number of cells.</exception>
    public static IEnumerable<string[]> Read(string path)
    {
        using var reader = new StreamReader(path, new UTF8Encoding(false, throwOnInvalidBytes: true));
        char separator = Separator(path);
        int columns = 0, line = 1;
        while (true)
        {
            int begun = line;
            string[]? row = Row(reader, separator, path, ref line);
            if (row is null)
            {
                break;
            }

            // A blank line is no row.
            if (row is [""])
            {
                continue;
            }

            columns = columns == 0 ? row.Length : columns;
            yield return row.Length == columns ? row : throw new CommandException(ExitCode.Input,
                $"'{path}' has {row.Length} cells in line {begun}, and {columns} columns. Put cells that hold a separator in quotes.");
        }

        if (columns == 0)
        {
            throw new CommandException(ExitCode.Input, $"'{path}' is empty. Its first line names the columns.");
        }
    }

    private static char Separator(string path)
    {
        if (Path.GetExtension(path).Equals(".tsv", StringComparison.OrdinalIgnoreCase))
        {
            return '\t';
        }

        string header = Guarded(path, () => File.ReadLines(path).FirstOrDefault() ?? "");
        return header.Contains(',', StringComparison.Ordinal) ? ',' : header.Contains(';', StringComparison.Ordinal) ? ';'
            : header.Contains('\t', StringComparison.Ordinal) ? '\t' : ',';
    }

    private static string[]? Row(StreamReader reader, char separator, string path, ref int line)
    {
        var cells = new List<string>();
        var cell = new StringBuilder();
        bool isQuoted = false, any = false;
        int begun = line;
        while (Guarded(path, reader.Read) is >= 0 and var read)
        {
            any = true;
            char c = (char)read;
            line += c == '\n' ? 1 : 0;
            if (isQuoted)
            {
                if (c != '"')
                {
                    cell.Append(c);
                }
                else if (Guarded(path, reader.Peek) == '"')
                {
                    cell.Append((char)reader.Read());
                }
                else
                {
                    isQuoted = false;
                }
            }
            else if (c == '"' && cell.Length == 0)
            {
                isQuoted = true;
            }
            else if (c == separator)
            {
                cells.Add(cell.ToString());
                cell.Clear();
            }
            else if (c is '\n' or '\r')
            {
                if (c == '\r' && Guarded(path, reader.Peek) == '\n')
                {
                    continue;
                }

                return [.. cells, cell.ToString()];
            }
            else
            {
                cell.Append(c);
            }
        }

        return isQuoted
            ? throw new CommandException(
                ExitCode.Input, $"'{path}' has a quote in line {begun} that is never closed. Close it, or double it.")
            : any ? [.. cells, cell.ToString()] : null;
    }

    private static T Guarded<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (DecoderFallbackException e)
        {
            throw new CommandException(ExitCode.Input, $"'{path}' is not text in UTF-8. Save it as UTF-8.", e);
        }
    }
}
