using System.Globalization;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Evaluation.Likelihoods;

/// <summary>How likely each choice is behind its question, as lm-evaluation-harness has it.</summary>
internal static class ChoiceLikelihoods
{
    /// <summary>lm-evaluation-harness's for ARC.</summary>
    public static PromptTemplate DefaultTemplate { get; } = PromptTemplate.Format("Question: {prompt}\nAnswer:");

    /// <param name="scorer">The model.</param>
    /// <param name="questions">Refused before any work where one does not fit the model.</param>
    /// <param name="template">What stands around a question; null: <see cref="DefaultTemplate"/>.</param>
    /// <param name="cancellationToken">Checked before every batch.</param>
    public static MultipleChoiceEvaluation Of(
        TokenScorer scorer, MultipleChoiceQuestion[] questions, PromptTemplate? template, CancellationToken cancellationToken)
    {
        int missing = Array.IndexOf(questions, null);
        if (questions.Length == 0 || missing >= 0)
        {
            throw new ArgumentException(questions.Length == 0
                ? "There are no questions, so that there is nothing to judge. Give at least one."
                : string.Create(CultureInfo.InvariantCulture, $"Question {missing + 1} is null. Leave it out."), nameof(questions));
        }

        var prompts = new PromptEncoder(scorer.Prompts.Tokenizer, template ?? DefaultTemplate);
        SupervisedExample[] pairs =
        [
            .. questions.SelectMany((question, index) =>
                question.Choices.Select(choice => Encode(prompts, question.Question, choice, index + 1, scorer.MaxPositions))),
        ];
        double[] losses = scorer.Losses(pairs, cancellationToken);
        int at = 0;
        return new MultipleChoiceEvaluation(
        [
            .. questions.Select(question =>
            {
                int start = at;
                at += question.Choices.Count;
                return new EvaluatedQuestion(question, [.. losses[start..at].Select(loss => -loss)]);
            }),
        ]);
    }

    private static SupervisedExample Encode(PromptEncoder prompts, string question, string choice, int number, int positions)
    {
        SupervisedExample pair;
        try
        {
            pair = prompts.EncodePair(question, choice);
        }
        catch (TokenWithoutRowException error)
        {
            throw Refused(number, error.Message, error);
        }

        return pair.LabelCount < 1
            ? throw Refused(number, $"the choice '{choice}' has no tokens of its own, so that it has no likelihood. Write it otherwise.")
            : pair.Ids.Length > positions
            ? throw Refused(number, string.Create(CultureInfo.InvariantCulture,
                $"with the choice '{choice}' it has {pair.Ids.Length} tokens, and the model has {positions} positions. Shorten it, or "
                + $"leave it out."))
            : pair;
    }

    private static ArgumentException Refused(int number, string problem, Exception? cause = null, string argument = "questions") =>
        new(string.Create(CultureInfo.InvariantCulture, $"{argument}: question {number}: {problem}"), argument, cause);
}
