using System.Globalization;
using Microsoft.ML.Sorsa.DataViews;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>A question with the answers to choose from.</summary>
public sealed class MultipleChoiceQuestion
{
    /// <param name="question">The question alone: what stands around it, the evaluation says.</param>
    /// <param name="choices">The answers, at least two, none of them empty.</param>
    /// <param name="answer">Which of them is right, counted from 0.</param>
    /// <exception cref="ArgumentException">There are fewer than two choices, one is empty, or the answer is none of them.</exception>
    public MultipleChoiceQuestion(string question, IReadOnlyList<string> choices, int answer)
    {
        ArgumentNullException.ThrowIfNull(question);
        ArgumentNullException.ThrowIfNull(choices);
        if (Problem(choices, answer) is var (argument, problem))
        {
            throw new ArgumentException($"{problem}.", argument);
        }

        Question = question;
        Choices = [.. choices];
        Answer = answer;
    }

    /// <summary>The question.</summary>
    public string Question { get; }

    /// <summary>The answers to choose from, in their order.</summary>
    public IReadOnlyList<string> Choices { get; }

    /// <summary>The right one's place among them, counted from 0.</summary>
    public int Answer { get; }

    /// <summary>
    /// Reads questions from JSON lines: an object on each line with <c>question</c> (text), <c>choices</c> (an array of texts) and
    /// <c>answer</c> (the right one's place, counted from 0). Other properties are passed over; a file that is one JSON array will do, too.
    /// </summary>
    /// <param name="path">The file, UTF-8.</param>
    /// <exception cref="IOException">The file is not there, or cannot be read.</exception>
    /// <exception cref="InvalidDataException">
    /// A line is no such object: the message names the file, the line and what is wrong. Or there is no question in the file.
    /// </exception>
    public static IReadOnlyList<MultipleChoiceQuestion> Read(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        var questions = new List<MultipleChoiceQuestion>();
        using var rows = new JsonLinesReader(path);
        while (rows.Read())
        {
            string question = rows.Text("question");
            IReadOnlyList<string> choices = rows.Texts("choices");
            int answer = rows.Integer("answer");
            questions.Add(Problem(choices, answer) is var (_, problem)
                ? throw rows.Error(problem)
                : new MultipleChoiceQuestion(question, choices, answer));
        }

        return questions.Count > 0 ? questions : throw new InvalidDataException(
            $"'{path}' holds no questions. Give a file with a JSON object on each line: question, choices, answer.");
    }

    /// <summary>What is wrong, without a full stop, and with what.</summary>
    private static (string Argument, string Text)? Problem(IReadOnlyList<string> choices, int answer)
    {
        int empty = choices.Count - 1;
        while (empty >= 0 && !string.IsNullOrWhiteSpace(choices[empty]))
        {
            empty--;
        }

        return choices.Count < 2
            ? (nameof(choices), Text($"choices has {choices.Count} entries, and a choice needs at least 2. Give the wrong answers, too"))
            : empty >= 0
            ? (nameof(choices), Text($"choices has an empty text at {empty}, which has no likelihood. Give it a text, or leave it out"))
            : answer < 0 || answer >= choices.Count
            ? (nameof(answer), Text(
                $"answer is {answer}; it must be from 0 to {choices.Count - 1}, a place in choices. The first choice has the place 0"))
            : null;

        static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
    }
}
