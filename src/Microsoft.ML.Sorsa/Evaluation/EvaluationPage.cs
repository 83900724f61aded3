using System.Globalization;
using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>An evaluation as one page: the numbers, then the rows, what is wrong or least likely first.</summary>
internal static class EvaluationPage
{
    private const string Style = """
        :root { color-scheme: light dark; --line: #8885; --wrong: #c0392b; --right: #1e8449; }
        @media (prefers-color-scheme: dark) { :root { --wrong: #ff8a7a; --right: #7ddc9a; } }
        body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; overflow-wrap: anywhere; padding: 1rem; }
        h1 { font-size: 1.5rem; margin: .5rem 0 1rem; }
        dl { display: grid; gap: .25rem 1rem; grid-template-columns: max-content 1fr; margin: 0 0 1rem; }
        dt { opacity: .75; }
        dd { margin: 0; }
        @media (max-width: 32rem) {
          dl { gap: 0; grid-template-columns: 1fr; }
          dd { margin-bottom: .5rem; }
        }
        article { border-top: 1px solid var(--line); padding: .75rem 0; }
        h2 { font-size: 1rem; margin: 0; }
        p { margin: .25rem 0; }
        pre { font-size: .85rem; margin: .5rem 0 0; white-space: pre-wrap; }
        .wrong h2, .failed h2 { color: var(--wrong); }
        .right h2 { color: var(--right); }
        """;

    /// <param name="stream">Where it is written.</param>
    /// <param name="title">What it is.</param>
    /// <param name="facts">The numbers, by their names.</param>
    /// <param name="answers">Every row.</param>
    public static void Write(
        Stream stream, string title, IEnumerable<(string Name, string Text)> facts, IReadOnlyList<EvaluatedAnswer> answers)
    {
        var page = new XElement(
            "html", new XAttribute("lang", "en"),
            new XElement(
                "head", new XElement("meta", new XAttribute("charset", "utf-8")),
                new XElement(
                    "meta", new XAttribute("name", "viewport"), new XAttribute("content", "width=device-width, initial-scale=1")),
                new XElement("title", Clean(title)), new XElement("style", Style)),
            new XElement(
                "body", new XElement("h1", Clean(title)),
                new XElement("dl", facts.Select(fact => new[] { new XElement("dt", fact.Name), new XElement("dd", fact.Text) })),
                Rows(answers, "failed"), Rows(answers, "wrong"), Rows(answers, "right"), Rows(answers, "")));
        using var writer = new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true);
        writer.Write("<!DOCTYPE html>\n");
        writer.Write(page.ToString(SaveOptions.DisableFormatting));
    }

    private static IEnumerable<XElement> Rows(IReadOnlyList<EvaluatedAnswer> answers, string verdict) =>
        from answer in answers
        where EvaluationCsv.Verdict(answer) == verdict
        orderby verdict.Length > 0 ? 0 : -answer.Loss
        select new XElement(
            "article", new XAttribute("class", verdict),
            new XElement("h2", Text($"Row {answer.Row}") + (verdict.Length > 0 ? $": {verdict}" : "")),
            Words(answer).Select(words => new XElement("p", Clean(words))),
            new XElement("pre", Clean(verdict.Length > 0 ? answer.Text : answer.Gold)));

    private static IEnumerable<string> Words(EvaluatedAnswer answer)
    {
        if (answer.Problem is { } problem)
        {
            yield return problem;
        }
        else if (answer.Graded is { } graded)
        {
            yield return $"read as {graded.Extracted ?? "nothing"}, reference {graded.Gold}";
        }

        if (answer.Loss is { } loss)
        {
            yield return Text($"reference response: {loss:F4} nats a token, over {answer.ResponseTokens} tokens");
        }
    }

    /// <summary>Models write what XML does not hold: control characters and halves of pairs.</summary>
    private static string Clean(string text) => string.Concat(text.EnumerateRunes().Select(
        rune => rune.Value > char.MaxValue || XmlConvert.IsXmlChar((char)rune.Value) ? rune.ToString() : "\uFFFD"));

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
