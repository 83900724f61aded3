using System.Text;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.DataViews;

/// <summary>
/// Files that people take for JSON and that hold something else: what they look like, and what to do with them. What may lie in any
/// file's place, <see cref="WrongFile"/> knows; here is what holds rows, or a text.
/// </summary>
internal static class DataFileKind
{
    private const string Unpack = "Unpack it, and name the file that comes out";
    private const string Save = "Save the file as UTF-8";
    private const string Export = "Write its rows as JSON lines first (pandas: frame.to_json(path, orient='records', lines=True))";
    private const string Table = "Load it with mlContext.Data.LoadFromTextFile, which also reads quoted fields (allowQuoting: true)";

    private static readonly (byte[] Start, string What, string Remedy)[] s_known =
    [
        ("PK\u0003\u0004"u8.ToArray(), "a zip archive (an Excel workbook is one, too)", Unpack + "; save a workbook's sheet as CSV"),
        ("PAR1"u8.ToArray(), "a Parquet file", Export),
        ("ARROW1"u8.ToArray(), "an Arrow or Feather file", Export),
        ("Obj\u0001"u8.ToArray(), "an Avro file", Export),
        ("ORC"u8.ToArray(), "an ORC file", Export),
        ("SQLite format 3"u8.ToArray(), "a SQLite database", Export),
        ([0x80], "a Python pickle", Export),
        ([0x89, .. "HDF"u8], "an HDF5 file", Export),
        ([0x93, .. "NUMPY"u8], "a NumPy array", Export),
        ([0xD0, 0xCF, 0x11, 0xE0], "a workbook or document of old Office programs", "Save its sheet as CSV"),
        ("%PDF"u8.ToArray(), "a PDF document", "Take its text out first"),
        ([0xFF, 0xFE, 0, 0], "text in UTF-32", Save),
        ([0, 0, 0xFE, 0xFF], "text in UTF-32", Save),
    ];

    /// <summary>A sentence about what it looks like and the remedy; null where it may be JSON.</summary>
    /// <param name="start">The beginning of the file, or all of it.</param>
    public static string? Describe(ReadOnlySpan<byte> start)
    {
        if (start.IsEmpty)
        {
            return null;
        }

        foreach ((byte[] known, string what, string remedy) in s_known)
        {
            if (start.StartsWith(known))
            {
                return LooksLike(what, remedy);
            }
        }

        if (Utf8Text.IsUtf16(start))
        {
            return LooksLike("text in UTF-16", Save);
        }

        if (WrongFile.Describe(start) is var (kind, remedyOfAll))
        {
            return LooksLike(kind, remedyOfAll);
        }

        string text = Encoding.UTF8.GetString(Utf8Text.WithoutMark(start)).TrimStart();
        string line = text.Split('\n')[0].TrimEnd();
        return text.Length == 0 || text[0] is '{' or '[' ? null
            : text[0] == '<' ? LooksLike("a document in XML", Export)
            : text.StartsWith("---", StringComparison.Ordinal) || text.StartsWith("- ", StringComparison.Ordinal)
            ? LooksLike("YAML", Export)
            : Separator(line) is { } separator ? LooksLike($"a table with {separator} between its fields (CSV)", Table)
            : null;
    }

    private static string LooksLike(string what, string remedy) => $"This looks like {what}. {remedy}";

    private static string? Separator(string line) =>
        line.Contains('\t', StringComparison.Ordinal) ? "tabs"
        : line.Contains(';', StringComparison.Ordinal) ? "semicolons"
        : line.Contains(',', StringComparison.Ordinal) ? "commas"
        : line.Contains('|', StringComparison.Ordinal) ? "bars"
        : null;
}
