using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>SymPy refuses LaTeX in which a matrix is begun and not ended, before it reads anything.</summary>
internal static partial class LatexMatrices
{
    public static bool AreClosed(string text)
    {
        Stack<string> open = [];
        foreach (Match match in Delimiter.Matches(text))
        {
            string name = match.Groups[2].Value;
            if (match.Groups[1].Value == "begin")
            {
                open.Push(name);
            }
            else if (!open.TryPop(out string? begun) || begun != name)
            {
                return false;
            }
        }

        return open.Count == 0;
    }

    [GeneratedRegex(@"\\(begin|end)\{((?:small|[pbBvV])?matrix)\}")]
    private static partial Regex Delimiter { get; }
}
