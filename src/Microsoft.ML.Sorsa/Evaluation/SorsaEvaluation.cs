using System.Globalization;
using System.Text;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>How good answers are: <c>mlContext.Sorsa().Evaluate(...)</c>.</summary>
public sealed class SorsaEvaluation
{
    private readonly TextPerplexity? _perplexity;

    internal SorsaEvaluation(
        string? grader, IReadOnlyList<EvaluatedAnswer> answers, TimeSpan? generation, bool hasPerplexity = false)
    {
        Grader = grader;
        Answers = answers;
        GenerationTime = generation;
        Correct = answers.Count(answer => answer.Graded is { Correct: true });
        Graded = answers.Count(answer => answer.Graded is not null);
        Failed = answers.Count(answer => answer.Problem is not null);
        if (hasPerplexity)
        {
            long tokens = answers.Sum(answer => (long)answer.ResponseTokens);
            _perplexity = new TextPerplexity(answers.Sum(answer => (answer.Loss ?? 0) * answer.ResponseTokens) / tokens, tokens);
        }
    }

    /// <summary>The grader's name; null where no answers were judged.</summary>
    public string? Grader { get; }

    /// <summary>Every row, in the data's order.</summary>
    public IReadOnlyList<EvaluatedAnswer> Answers { get; }

    /// <summary>Rows that are right.</summary>
    public int Correct { get; }

    /// <summary>Rows with a verdict. The others count for nothing.</summary>
    public int Graded { get; }

    /// <summary>
    /// Rows that have a <see cref="EvaluatedAnswer.Problem"/> and no verdict: no reference, one that the grader cannot read, a grader that
    /// threw.
    /// </summary>
    public int Failed { get; }

    /// <summary>Correct / Graded, from 0 to 1; NaN where no row has a verdict.</summary>
    public double Accuracy => Graded == 0 ? double.NaN : (double)Correct / Graded;

    /// <summary>
    /// The 95 % interval of <see cref="Accuracy"/> (Wilson's): what other rows of the same kind may give. Two models whose intervals
    /// overlap may be equally good. NaN where no row has a verdict.
    /// </summary>
    public (double Lower, double Upper) Interval => Graded == 0 ? (double.NaN, double.NaN) : WilsonInterval.Of(Correct, Graded);

    /// <summary>
    /// exp(<see cref="Loss"/>), the perplexity of the responses; null where it was not asked for, NaN where no row has a prompt and a
    /// response.
    /// </summary>
    public double? Perplexity => _perplexity?.Perplexity;

    /// <summary>
    /// Mean negative log-likelihood, in nats, of all the responses' tokens, end tokens included, each given the prompt and the tokens
    /// before it: the validation loss of a training on the same rows, whose TrainedTokens and EndToken are the defaults. Null and NaN as
    /// <see cref="Perplexity"/>.
    /// </summary>
    public double? Loss => _perplexity?.Loss;

    /// <summary>The tokens that <see cref="Loss"/> is the mean of; 0 where it was not asked for.</summary>
    public long ResponseTokens => _perplexity?.Tokens ?? 0;

    /// <summary>How long the model took for all answers; null where they were there, or none were asked for.</summary>
    public TimeSpan? GenerationTime { get; }

    /// <summary>Answers a second; null where none were generated.</summary>
    public double? Throughput => GenerationTime is { TotalSeconds: > 0 } time ? Answers.Count / time.TotalSeconds : null;

    private string Title => Grader is null ? "Evaluation" : $"Evaluation by {Grader}";

    /// <summary>One line for people, and one for each of the first problems.</summary>
    public override string ToString()
    {
        const int Shown = 3;
        var parts = new List<string>();
        if (Grader is not null)
        {
            parts.Add(Text($"{Grader}: {Correct} of {Graded} right"));
        }

        if (Graded > 0)
        {
            parts.Add(Text($"{Accuracy:P1} (95 %: {Interval.Lower:P1} to {Interval.Upper:P1})"));
        }

        if (_perplexity is not null)
        {
            parts.Add($"responses' {_perplexity}");
        }

        if (Throughput is { } throughput)
        {
            parts.Add(Text($"{throughput:F1} answers a second"));
        }

        var text = new StringBuilder(string.Join(", ", parts));
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
    /// Writes every row as CSV (RFC 4180, UTF-8): row, verdict (right, wrong, failed; empty where none was asked for), extracted, reference
    /// as read, answer, reference, problem; and, where the perplexity was asked for, the response's loss and tokens. The file is there when
    /// it is whole.
    /// </summary>
    /// <param name="path">The file, in a folder that is there; it replaces a file of that name.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder must not be written.</exception>
    public void SaveCsv(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        NewFile.Write(path, stream => CsvLines.Write(stream, EvaluationCsv.Lines(Answers, _perplexity is not null)));
    }

    /// <summary>
    /// Writes a page with the numbers and every row, for a browser: one file, no script, nothing fetched. The file is there when it is
    /// whole.
    /// </summary>
    /// <inheritdoc cref="SaveCsv"/>
    public void SaveReport(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        NewFile.Write(path, stream => EvaluationPage.Write(stream, Title, Facts(), Answers));
    }

    private IEnumerable<(string Name, string Text)> Facts()
    {
        if (Grader is not null)
        {
            yield return ("Right", Text($"{Correct} of {Graded}"));
        }

        if (Graded > 0)
        {
            yield return ("Accuracy", Text($"{Accuracy:P1}, 95 % interval {Interval.Lower:P1} to {Interval.Upper:P1} (Wilson)"));
        }

        if (Grader is not null)
        {
            yield return ("Without a verdict", Text($"{Failed}"));
        }

        if (_perplexity is { } responses)
        {
            yield return ("Perplexity of the responses", Text($"{responses.Perplexity:G5}"));
            yield return ("Loss", Text($"{responses.Loss:F4} nats a token, over {responses.Tokens:N0} tokens"));
        }

        if (GenerationTime is { } time)
        {
            yield return ("Generated in", Text($"{time.TotalSeconds:F1} s"));
        }

        if (Throughput is { } throughput)
        {
            yield return ("Throughput", Text($"{throughput:F1} answers a second"));
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
