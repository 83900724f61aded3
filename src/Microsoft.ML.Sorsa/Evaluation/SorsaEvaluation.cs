using System.Globalization;
using System.Text;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>How good answers are: <c>mlContext.Sorsa().Evaluate(...)</c>.</summary>
public sealed class SorsaEvaluation
{
    internal SorsaEvaluation(string grader, IReadOnlyList<EvaluatedAnswer> answers, TimeSpan? generation)
    {
        Grader = grader;
        Answers = answers;
        GenerationTime = generation;
        Correct = answers.Count(answer => answer.Graded is { Correct: true });
        Graded = answers.Count(answer => answer.Graded is not null);
    }

    /// <summary>The grader's name.</summary>
    public string Grader { get; }

    /// <summary>Every row, in the data's order.</summary>
    public IReadOnlyList<EvaluatedAnswer> Answers { get; }

    /// <summary>Rows that are right.</summary>
    public int Correct { get; }

    /// <summary>Rows with a verdict. The others have a <see cref="EvaluatedAnswer.Problem"/> and count for nothing.</summary>
    public int Graded { get; }

    /// <summary>Rows without one: no reference, one that the grader cannot read, a grader that threw.</summary>
    public int Failed => Answers.Count - Graded;

    /// <summary>Correct / Graded, from 0 to 1; NaN where no row has a verdict.</summary>
    public double Accuracy => Graded == 0 ? double.NaN : (double)Correct / Graded;

    /// <summary>
    /// The 95 % interval of <see cref="Accuracy"/> (Wilson's): what other rows of the same kind may give. Two models whose intervals
    /// overlap may be equally good. NaN where no row has a verdict.
    /// </summary>
    public (double Lower, double Upper) Interval => Graded == 0 ? (double.NaN, double.NaN) : WilsonInterval.Of(Correct, Graded);

    /// <summary>How long the model took for all answers; null where they were there.</summary>
    public TimeSpan? GenerationTime { get; }

    /// <summary>One line for people, and one for each of the first problems.</summary>
    public override string ToString()
    {
        const int Shown = 3;
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Grader}: {Correct} of {Graded} right");
        if (Graded > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $", {Accuracy:P1} (95 %: {Interval.Lower:P1} to {Interval.Upper:P1})");
        }

        if (GenerationTime is { TotalSeconds: > 0 } time)
        {
            text.Append(CultureInfo.InvariantCulture, $", {Answers.Count / time.TotalSeconds:F1} answers a second");
        }

        if (Failed > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"; {Failed} rows without a verdict");
            foreach (EvaluatedAnswer answer in Answers.Where(answer => answer.Problem is not null).Take(Shown))
            {
                text.AppendLine().Append(CultureInfo.InvariantCulture, $"  row {answer.Row}: {answer.Problem}");
            }
        }

        return text.ToString();
    }

    /// <summary>
    /// Writes every row as CSV (RFC 4180, UTF-8): row, verdict (right, wrong, failed), extracted, reference as read, answer, reference,
    /// problem. The file is there when it is whole.
    /// </summary>
    /// <param name="path">The file, in a folder that is there; it replaces a file of that name.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder must not be written.</exception>
    public void SaveCsv(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        NewFile.Write(path, stream => EvaluationCsv.Write(stream, Answers));
    }

    /// <summary>
    /// Writes a page with the numbers and every row, for a browser: one file, no script, nothing fetched. The file is there when it is
    /// whole.
    /// </summary>
    /// <inheritdoc cref="SaveCsv"/>
    public void SaveReport(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        NewFile.Write(path, stream => EvaluationPage.Write(stream, Grader, Facts(), Answers));
    }

    private IEnumerable<(string Name, string Text)> Facts()
    {
        yield return ("Right", Text($"{Correct} of {Graded}"));
        if (Graded > 0)
        {
            yield return ("Accuracy", Text($"{Accuracy:P1}, 95 % interval {Interval.Lower:P1} to {Interval.Upper:P1} (Wilson)"));
        }

        yield return ("Without a verdict", Text($"{Failed}"));
        if (GenerationTime is { } time)
        {
            yield return ("Generated in", Text($"{time.TotalSeconds:F1} s"));
        }

        static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
    }
}
