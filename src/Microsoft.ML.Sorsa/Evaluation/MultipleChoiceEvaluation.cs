using System.Globalization;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>How often a model finds the right choice likeliest: <c>mlContext.Sorsa().EvaluateChoices(...)</c>.</summary>
public sealed class MultipleChoiceEvaluation
{
    internal MultipleChoiceEvaluation(IReadOnlyList<EvaluatedQuestion> questions)
    {
        Questions = questions;
        Correct = questions.Count(question => question.Correct);
        NormalizedCorrect = questions.Count(question => question.NormalizedCorrect);
    }

    /// <summary>Every question, in their order.</summary>
    public IReadOnlyList<EvaluatedQuestion> Questions { get; }

    /// <summary>Questions whose right choice has the largest log-likelihood.</summary>
    public int Correct { get; }

    /// <summary>Questions whose right choice has the largest log-likelihood a character.</summary>
    public int NormalizedCorrect { get; }

    /// <summary>Correct / questions, from 0 to 1: lm-evaluation-harness's <c>acc</c>.</summary>
    public double Accuracy => (double)Correct / Questions.Count;

    /// <summary>The 95 % interval of <see cref="Accuracy"/> (Wilson's): what other questions of the same kind may give.</summary>
    public (double Lower, double Upper) Interval => WilsonInterval.Of(Correct, Questions.Count);

    /// <summary>NormalizedCorrect / questions, from 0 to 1: lm-evaluation-harness's <c>acc_norm</c>.</summary>
    public double NormalizedAccuracy => (double)NormalizedCorrect / Questions.Count;

    /// <summary>The 95 % interval of <see cref="NormalizedAccuracy"/>.</summary>
    public (double Lower, double Upper) NormalizedInterval => WilsonInterval.Of(NormalizedCorrect, Questions.Count);

    /// <summary>One line for people.</summary>
    public override string ToString()
    {
        return Text($"{Questions.Count} questions: ") + Part("likeliest", Correct, Accuracy, Interval) + ", "
            + Part("likeliest by character", NormalizedCorrect, NormalizedAccuracy, NormalizedInterval);

        static string Part(string name, int correct, double accuracy, (double Lower, double Upper) interval) =>
            Text($"{name} right {correct}, {accuracy:P1} (95 %: {interval.Lower:P1} to {interval.Upper:P1})");

        static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>
    /// Writes every choice as CSV (RFC 4180, UTF-8): the question's number from 1, the choice's from 0, whether it is the right one,
    /// whether it was chosen, and by character, its log-likelihood and its characters, the question and the choice. The file is there
    /// when it is whole.
    /// </summary>
    /// <param name="path">The file, in a folder that is there; it replaces a file of that name.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder must not be written.</exception>
    public void SaveCsv(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        NewFile.Write(path, stream => CsvLines.Write(stream, Lines()));
    }

    private IEnumerable<IReadOnlyList<string>> Lines()
    {
        yield return
        [
            "row", "index", "right", "chosen", "chosen_normalized", "log_likelihood", "characters", "question", "choice",
        ];
        for (int row = 0; row < Questions.Count; row++)
        {
            EvaluatedQuestion evaluated = Questions[row];
            for (int index = 0; index < evaluated.LogLikelihoods.Count; index++)
            {
                string choice = evaluated.Question.Choices[index];
                yield return
                [
                    Number(row + 1), Number(index), Flag(index == evaluated.Question.Answer), Flag(index == evaluated.Chosen),
                    Flag(index == evaluated.ChosenNormalized),
                    evaluated.LogLikelihoods[index].ToString("R", CultureInfo.InvariantCulture),
                    Number(EvaluatedQuestion.Characters(choice)), evaluated.Question.Question, choice,
                ];
            }
        }

        static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);

        static string Flag(bool flag) => flag ? "1" : "0";
    }
}
