namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>What a model thinks of one question's choices.</summary>
public sealed class EvaluatedQuestion
{
    internal EvaluatedQuestion(MultipleChoiceQuestion question, IReadOnlyList<double> logLikelihoods)
    {
        Question = question;
        LogLikelihoods = logLikelihoods;
        Chosen = Largest(logLikelihoods);
        ChosenNormalized = Largest([.. logLikelihoods.Zip(question.Choices, (likelihood, choice) => likelihood / Characters(choice))]);
    }

    /// <summary>The question.</summary>
    public MultipleChoiceQuestion Question { get; }

    /// <summary>Of each choice Σ ln p(token | question, tokens before it), in nats, as long as <c>Question.Choices</c>.</summary>
    public IReadOnlyList<double> LogLikelihoods { get; }

    /// <summary>The choice with the largest log-likelihood; the first of equals.</summary>
    public int Chosen { get; }

    /// <summary>The choice with the largest log-likelihood a character, so that a long one is not at a disadvantage.</summary>
    public int ChosenNormalized { get; }

    /// <summary>Whether <see cref="Chosen"/> is the right one.</summary>
    public bool Correct => Chosen == Question.Answer;

    /// <summary>Whether <see cref="ChosenNormalized"/> is the right one.</summary>
    public bool NormalizedCorrect => ChosenNormalized == Question.Answer;

    /// <summary>As Python counts them: by code points.</summary>
    internal static int Characters(string choice) => choice.EnumerateRunes().Count();

    private static int Largest(IReadOnlyList<double> values)
    {
        int largest = 0;
        for (int i = 1; i < values.Count; i++)
        {
            largest = values[i] > values[largest] ? i : largest;
        }

        return largest;
    }
}
