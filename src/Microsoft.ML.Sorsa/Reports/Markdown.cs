using System.Globalization;
using System.Text;

namespace Microsoft.ML.Sorsa.Reports;

/// <summary>Markdown out of texts that come from anywhere.</summary>
internal sealed class Markdown
{
    private readonly StringBuilder _text = new();

    /// <summary>Text that is shown as it is: one line, no markup of Markdown's or HTML's.</summary>
    public static string Plain(string text)
    {
        var plain = new StringBuilder();
        foreach (char letter in text)
        {
            plain.Append(letter switch
            {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '\n' => " ",
                '\\' or '`' or '*' or '_' or '[' or ']' or '|' or '#' or '~' or '!' => $"\\{letter}",
                _ when char.IsControl(letter) => "",
                _ => letter.ToString(),
            });
        }

        return plain.ToString();
    }

    /// <summary>Four digits that count.</summary>
    public static string Number(double value) => value.ToString("G4", CultureInfo.InvariantCulture);

    public static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    public Markdown Heading(string text) => Block($"## {text}");

    /// <summary>A paragraph, or what else begins and ends with an empty line.</summary>
    public Markdown Block(string text)
    {
        _text.Append(text).Append("\n\n");
        return this;
    }

    /// <summary>Lines as they are, whatever is in them: each is indented by four blanks.</summary>
    public Markdown Literal(string text) => Block(string.Join('\n', text.ReplaceLineEndings("\n").Split('\n')
        .Select(line => $"    {string.Concat(line.Where(letter => !char.IsControl(letter)))}")));

    /// <summary>A table of cells that are Markdown already.</summary>
    public Markdown Table(IReadOnlyList<string> headings, IEnumerable<IReadOnlyList<string>> rows)
    {
        IEnumerable<IReadOnlyList<string>> lines = [headings, [.. headings.Select(_ => "---")], .. rows];
        return Block(string.Join('\n', lines.Select(cells => $"| {string.Join(" | ", cells)} |")));
    }

    public override string ToString() => _text.ToString().TrimEnd('\n') + "\n";
}
