namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>What each project cuts out of a generated text as its final answer to a problem of MATH.</summary>
internal static class MathAnswer
{
    /// <summary>MetaMath's mark, in the paper's training rows and in what its models write.</summary>
    public const string Mark = "The answer is: ";

    /// <summary>What lm-eval takes where nothing was found.</summary>
    public const string Invalid = "[invalidanswer]";

    private const string MinervaStart = "Final Answer: The final answer is", MinervaEnd = " I hope it is correct";

    /// <summary>Behind the last mark, up to the sentence's end; null without a mark.</summary>
    public static string? OfAuthors(string text)
    {
        if (PythonText.AfterLast(text, Mark) is not { } answer)
        {
            return null;
        }

        int end = answer.IndexOf(".\n", StringComparison.Ordinal);
        answer = PythonText.Strip(end < 0 ? answer : answer[..end]);
        return answer.EndsWith('.') ? PythonText.Strip(answer[..^1]) : answer;
    }

    /// <summary>
    /// Between Minerva's two sentences, on one line. lm-eval appends the closing sentence, without a blank before it, so an answer that
    /// was cut off counts where it ends in a character and a blank.
    /// </summary>
    public static string OfMinerva(string text)
    {
        foreach (string line in (text + MinervaEnd[1..] + ".").Split('\n'))
        {
            int start = line.IndexOf(MinervaStart, StringComparison.Ordinal);
            if (start < 0)
            {
                continue;
            }

            // Any character stands before the closing sentence, and any behind it.
            start += MinervaStart.Length;
            int end = start + 1 > line.Length ? -1 : line.IndexOf(MinervaEnd, start + 1, StringComparison.Ordinal);
            if (end >= 0 && end + MinervaEnd.Length < line.Length)
            {
                return PythonText.Strip(line[start..(end - 1)]);
            }
        }

        return Invalid;
    }

    /// <summary>Between the first and the last dollar; the whole text where there are fewer than two.</summary>
    public static string BetweenDollars(string text)
    {
        int first = text.IndexOf('$', StringComparison.Ordinal), last = text.LastIndexOf('$');
        return first < last ? text[(first + 1)..last] : text;
    }
}
