using System.Text;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>CSV as RFC 4180 has it, in UTF-8: a line each, what holds a comma, a quote or a line break in quotes.</summary>
internal static class CsvLines
{
    public static void Write(Stream stream, IEnumerable<IReadOnlyList<string>> lines)
    {
        using var writer = new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true);
        foreach (IReadOnlyList<string> fields in lines)
        {
            writer.Write(string.Join(',', fields.Select(Field)));
            writer.Write("\r\n");
        }
    }

    private static string Field(string text) =>
        text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
