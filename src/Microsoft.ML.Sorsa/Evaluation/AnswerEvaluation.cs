namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>Judges answers row by row. A row that cannot be judged has no verdict, and never ends an evaluation.</summary>
internal static class AnswerEvaluation
{
    /// <param name="grader">Judges one answer.</param>
    /// <param name="rows">Answers and references, in the data's order.</param>
    public static IReadOnlyList<EvaluatedAnswer> Of(IAnswerGrader grader, IEnumerable<(string Text, string Gold)> rows) =>
        [.. rows.Select((row, index) => Judge(grader, index + 1, row.Text, row.Gold))];

    private static EvaluatedAnswer Judge(IAnswerGrader grader, int row, string text, string gold)
    {
        if (string.IsNullOrWhiteSpace(gold))
        {
            return new EvaluatedAnswer(row, text, gold, null, "there is no reference.");
        }

        try
        {
            return new EvaluatedAnswer(row, text, gold, grader.Grade(text, gold), null);
        }
        catch (UnreadableGoldException unreadable)
        {
            return new EvaluatedAnswer(row, text, gold, null, unreadable.Message);
        }
        catch (Exception thrown) when (thrown is not OutOfMemoryException)
        {
            // Whatever a grader of the user's throws is the row's, and said with it.
            return new EvaluatedAnswer(row, text, gold, null, $"the grader {grader.Name} threw {thrown.GetType().Name}: {thrown.Message}");
        }
    }
}
