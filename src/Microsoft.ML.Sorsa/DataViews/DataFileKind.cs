using System.Text;

namespace Microsoft.ML.Sorsa.DataViews;

/// <summary>Files that people take for JSON and that hold something else: what they look like, and what to do with them.</summary>
internal static class DataFileKind
{
    /// <summary>How much of a file's beginning tells.</summary>
    public const int Bytes = 512;

    private const string Unpack = "Unpack it, and name the file that comes out";
    private const string Save = "Save the file as UTF-8";
    private const string Fetch = "Fetch the file itself";
    private const string Export = "Write its rows as JSON lines first (pandas: frame.to_json(path, orient='records', lines=True))";
    private const string Table = "Load it with mlContext.Data.LoadFromTextFile, which also reads quoted fields (allowQuoting: true)";

    private static readonly (byte[] Start, string What, string Remedy)[] s_known =
    [
        ([0x1F, 0x8B], "a gzip file", Unpack),
        ("PK\u0003\u0004"u8.ToArray(), "a zip archive (an Excel workbook is one, too)", Unpack + "; save a workbook's sheet as CSV"),
        ([0x28, 0xB5, 0x2F, 0xFD], "a Zstandard file", Unpack),
        ("BZh"u8.ToArray(), "a bzip2 file", Unpack),
        ([0xFD, .. "7zXZ"u8], "an xz file", Unpack),
        ([(byte)'7', (byte)'z', 0xBC, 0xAF], "a 7-Zip archive", Unpack),
        ("PAR1"u8.ToArray(), "a Parquet file", Export),
        ("ARROW1"u8.ToArray(), "an Arrow or Feather file", Export),
        ("Obj\u0001"u8.ToArray(), "an Avro file", Export),
        ("ORC"u8.ToArray(), "an ORC file", Export),
        ("SQLite format 3"u8.ToArray(), "a SQLite database", Export),
        ([0x89, .. "HDF"u8], "an HDF5 file", Export),
        ([0xD0, 0xCF, 0x11, 0xE0], "a workbook or document of old Office programs", "Save its sheet as CSV"),
        ("%PDF"u8.ToArray(), "a PDF document", "Take its text out first"),
        ("version https://git-lfs"u8.ToArray(), "a Git LFS pointer, not the file that it stands for", Fetch + " with 'git lfs pull'"),
        ([0xFF, 0xFE, 0, 0], "text in UTF-32", Save),
        ([0, 0, 0xFE, 0xFF], "text in UTF-32", Save),
        ([0xFF, 0xFE], "text in UTF-16", Save),
        ([0xFE, 0xFF], "text in UTF-16", Save),
    ];

    /// <summary>A sentence about what it looks like and the remedy; null where it may be JSON.</summary>
    /// <param name="start">The first bytes of a file that is not JSON, or all of them.</param>
    public static string? Describe(ReadOnlySpan<byte> start)
    {
        foreach ((byte[] known, string what, string remedy) in s_known)
        {
            if (start.StartsWith(known))
            {
                return $"This looks like {what}. {remedy}";
            }
        }

        // Without a mark, UTF-16 shows by every other byte of plain letters.
        if (start is [0, > 0, 0, > 0, ..] or [> 0, 0, > 0, 0, ..])
        {
            return $"This looks like text in UTF-16. {Save}";
        }

        string text = Encoding.UTF8.GetString(start.StartsWith("\uFEFF"u8) ? start[3..] : start).TrimStart();
        string line = text.Split('\n')[0].TrimEnd();
        return text.Length == 0 || text[0] is '{' or '[' or '"' ? text.StartsWith('"') && Separator(line) is { } quoted ? Is(quoted) : null
            : text[0] == '<' ? $"This looks like a page or document in HTML or XML. {Fetch}"
            : text.StartsWith("---", StringComparison.Ordinal) || text.StartsWith("- ", StringComparison.Ordinal)
            ? $"This looks like YAML. {Export}"
            : Separator(line) is { } separator ? Is(separator)
            : null;

        static string Is(string separator) => $"This looks like a table with {separator} between its fields (CSV). {Table}";
    }

    private static string? Separator(string line) =>
        line.Contains('\t', StringComparison.Ordinal) ? "tabs"
        : line.Contains(';', StringComparison.Ordinal) ? "semicolons"
        : line.Contains(',', StringComparison.Ordinal) ? "commas"
        : line.Contains('|', StringComparison.Ordinal) ? "bars"
        : null;
}
