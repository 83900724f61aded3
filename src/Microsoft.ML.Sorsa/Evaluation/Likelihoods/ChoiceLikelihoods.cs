using System.Globalization;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Evaluation.Likelihoods;

/// <summary>How likely each choice is behind its question, as lm-evaluation-harness has it.</summary>
internal sealed class ChoiceLikelihoods
{
    private readonly TokenScorer _scorer;
    private readonly MultipleChoiceQuestion[] _questions;
    private readonly SupervisedExample[] _pairs;

    private ChoiceLikelihoods(TokenScorer scorer, MultipleChoiceQuestion[] questions, SupervisedExample[] pairs) =>
        (_scorer, _questions, _pairs) = (scorer, questions, pairs);

    /// <summary>lm-evaluation-harness's for ARC.</summary>
    public static PromptTemplate DefaultTemplate { get; } = PromptTemplate.Format("Question: {prompt}\nAnswer:");

    /// <summary>Every question with each of its choices, in tokens.</summary>
    /// <param name="scorer">The model.</param>
    /// <param name="questions">Refused before any work of the model where one does not fit it.</param>
    /// <param name="template">What stands around a question; null: <see cref="DefaultTemplate"/>.</param>
    public static ChoiceLikelihoods Encode(TokenScorer scorer, MultipleChoiceQuestion[] questions, PromptTemplate? template)
    {
        int missing = Array.IndexOf(questions, null);
        if (questions.Length == 0 || missing >= 0)
        {
            throw new ArgumentException(questions.Length == 0
                ? "There are no questions, so that there is nothing to judge. Give at least one."
                : string.Create(CultureInfo.InvariantCulture, $"Question {missing + 1} is null. Leave it out."), nameof(questions));
        }

        var prompts = new PromptEncoder(scorer.Prompts.Tokenizer, template ?? DefaultTemplate);
        return new ChoiceLikelihoods(scorer, questions,
        [
            .. questions.SelectMany((question, index) =>
                question.Choices.Select(choice => Encode(prompts, question.Question, choice, index + 1, scorer.MaxPositions))),
        ]);
    }

    /// <param name="cancellationToken">Checked before every batch.</param>
    public MultipleChoiceEvaluation Evaluate(CancellationToken cancellationToken)
    {
        double[] losses = _scorer.Losses(_pairs, cancellationToken);
        int at = 0;
        return new MultipleChoiceEvaluation(
        [
            .. _questions.Select(question =>
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
