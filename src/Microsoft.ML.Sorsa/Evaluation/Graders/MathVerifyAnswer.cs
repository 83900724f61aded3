using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>Where math-verify looks for an answer: by what stands before it, and of equals the one that ends last.</summary>
internal static partial class MathVerifyAnswer
{
    private const int MostLength = 20_000;

    /// <summary>
    /// The answer of a text: in a sentence "final answer is ... I hope", then boxed or behind "final answer is", then behind "answer",
    /// then anywhere. Null where there is no mathematics.
    /// </summary>
    public static string? Find(string text)
    {
        // An answer stands at the end of a text that is too long to be searched whole.
        text = text.Length <= MostLength ? text : text[^MostLength..];
        return Behind(text, FinalAndHope, "I hope") ?? Later(Boxes(text), Behind(text, FinalAnswer, null), text)
            ?? Behind(text, AnswerColon, null) ?? Behind(text, Answer, null) ?? Anywhere(text);
    }

    /// <summary>
    /// What stands in boxes or between dollars inside an answer, several as a list; the answer itself where there are none.
    /// </summary>
    public static string Inside(string answer)
    {
        for (int i = 0; i < 4; i++)
        {
            List<string> inside = Environments(answer);
            if (inside.Count == 0)
            {
                break;
            }

            answer = string.Join(", ", inside);
        }

        return answer;
    }

    private static string? Boxes(string text)
    {
        List<(int Start, int End, string Inside)> boxes = [];
        foreach (Match match in Box.Matches(text))
        {
            if (Close(text, match.Index + match.Length) is { } end && (boxes.Count == 0 || match.Index >= boxes[^1].End))
            {
                boxes.Add((match.Index, end + 1, text[(match.Index + match.Length)..end]));
            }
        }

        // Boxes side by side, joined by "and", "or" or a comma, are one answer.
        int first = boxes.Count - 1;
        while (first > 0 && boxes.Count - first < 6 && Joint.IsMatch(text.AsSpan(boxes[first - 1].End..boxes[first].Start)))
        {
            first--;
        }

        return boxes.Count == 0 ? null : string.Join(", ", boxes.Skip(first).Select(box => box.Inside));
    }

    /// <summary>Of two answers the one whose last place in the text is later.</summary>
    private static string? Later(string? left, string? right, string text) =>
        left is null ? right : right is null ? left
        : text.LastIndexOf(right, StringComparison.Ordinal) > text.LastIndexOf(left, StringComparison.Ordinal)
            && !right.Contains(left, StringComparison.Ordinal) && !left.Contains(right, StringComparison.Ordinal) ? right : left;

    private static string? Behind(string text, Regex words, string? end)
    {
        foreach (Match match in words.Matches(text).Reverse())
        {
            string rest = text[(match.Index + match.Length)..];
            int stop = end is null ? -1 : rest.IndexOf(end, StringComparison.OrdinalIgnoreCase);
            if (end is not null && stop < 0)
            {
                continue;
            }

            rest = stop < 0 ? rest.Split('\n', 2)[0] : rest[..stop];
            if (First(rest) is { } found)
            {
                return found;
            }
        }

        return null;
    }

    private static string? First(string text) =>
        Environments(text) is [var inside, ..] ? inside : Number.Match(text) is { Success: true } number ? number.Value : null;

    private static string? Anywhere(string text)
    {
        List<string> inside = Environments(text);
        return inside.Count > 0 ? inside[^1] : Number.Matches(text) is [.., var last] ? last.Value : null;
    }

    private static List<string> Environments(string text)
    {
        List<string> found = [];
        int end = 0;
        foreach (Match match in Opening.Matches(text))
        {
            if (match.Index < end)
            {
                continue;
            }

            int start = match.Index + match.Length;
            string close = match.Value switch { "$$" => "$$", "$" => "$", @"\(" => @"\)", @"\[" => @"\]", _ => "}" };
            int stop = close == "}" ? Close(text, start) ?? -1 : EndOf(text, close, start);
            if (stop > start)
            {
                found.Add(text[start..stop]);
                end = stop + close.Length;
            }
        }

        return found;
    }

    /// <summary>A dollar behind a backslash is an amount of money.</summary>
    private static int EndOf(string text, string close, int start)
    {
        int end = text.IndexOf(close, start, StringComparison.Ordinal);
        while (end > 0 && close[0] == '$' && text[end - 1] == '\\')
        {
            end = text.IndexOf(close, end + 1, StringComparison.Ordinal);
        }

        return end;
    }

    private static int? Close(string text, int start)
    {
        int depth = 1;
        for (int i = start; i < text.Length; i++)
        {
            depth += text[i] switch { '{' => 1, '}' => -1, _ => 0 };
            if (depth == 0)
            {
                return i;
            }
        }

        return null;
    }

    [GeneratedRegex(@"final answer is:?", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex FinalAndHope { get; }

    [GeneratedRegex(@"final answer[^\n.]{0,50}?\bis\b:?", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex FinalAnswer { get; }

    [GeneratedRegex(@"answer(?: is)?\s*:", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex AnswerColon { get; }

    [GeneratedRegex(@"answer", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Answer { get; }

    [GeneratedRegex(@"\\(?:boxed|fbox)\s*\{")]
    private static partial Regex Box { get; }

    [GeneratedRegex(@"^[\s$,.]*(and|or|,)?[\s$,.]*\z")]
    private static partial Regex Joint { get; }

    [GeneratedRegex(@"\$\$|(?<!\\)\$|\\\(|(?<!\\)\\\[|\\(?:boxed|fbox)\s*\{")]
    private static partial Regex Opening { get; }

    [GeneratedRegex(@"-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?(?:/[0-9]+)?%?|-?\.[0-9]+")]
    private static partial Regex Number { get; }
}
