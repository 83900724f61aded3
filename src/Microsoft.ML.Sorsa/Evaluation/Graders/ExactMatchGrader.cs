namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>The whole text, without white space around it, is the reference.</summary>
internal sealed class ExactMatchGrader(bool ignoreCase) : IAnswerGrader
{
    public string Name => ignoreCase ? "exact-match-ignore-case" : "exact-match";

    public GradedAnswer Grade(string text, string gold)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(gold);
        string answer = PythonText.Strip(text), reference = PythonText.Strip(gold);
        if (reference.Length == 0)
        {
            throw new UnreadableGoldException(gold, Name, "it is empty");
        }

        StringComparison comparison = ignoreCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;
        return new(string.Equals(answer, reference, comparison), answer.Length == 0 ? null : answer, reference);
    }
}
