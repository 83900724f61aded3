using System.Text.Json;
using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// What the trials of a study have in common and its <see cref="StudyDefinition"/> only names: the trainer's options and the rows. Together
/// with the definition, a trial's <see cref="TrialPlan"/> and the model folder it is all that a <see cref="TrialRunner"/> on another
/// machine needs.
/// </summary>
public sealed class StudyInputs
{
    private readonly Content _content;

    internal StudyInputs(Options trainer, int largestRank, SweepData data)
        : this(new Content(
            new Dictionary<string, string>(trainer.ToTexts(), StringComparer.Ordinal),
            largestRank,
            Texts(data.Train),
            Texts(data.Validation)))
    {
    }

    private StudyInputs(Content content) => _content = content;

    /// <summary>The rank at which matrices are decomposed: another one, other last bits.</summary>
    internal int LargestRank => _content.LargestRank;

    internal SweepData Data => new(Rows(_content.Train), Rows(_content.Validation));

    /// <summary>Reads what <see cref="ToJson"/> wrote.</summary>
    /// <param name="json">The text.</param>
    /// <exception cref="InvalidDataException">It is no such text.</exception>
    public static StudyInputs Parse(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        try
        {
            return JsonSerializer.Deserialize<Content>(json) is { Trainer: not null, LargestRank: >= 1 } content
                && AreRows(content.Train) && AreRows(content.Validation)
                ? new StudyInputs(content)
                : throw new InvalidDataException(
                    "They must be a JSON object with Trainer, LargestRank from 1 on, and Train and Validation as lists of pairs of texts.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"They are not the JSON that a study has there: {e.Message}", e);
        }
    }

    /// <summary>All of it as one text in ASCII.</summary>
    public string ToJson() => JsonSerializer.Serialize(_content);

    /// <summary>The trainer's options, over a copy of the model.</summary>
    internal Options Trainer(string modelFolder)
    {
        var options = new Options { ModelFolder = modelFolder };
        foreach ((string name, string text) in _content.Trainer)
        {
            options.Set(name, text);
        }

        return options;
    }

    private static bool AreRows(IReadOnlyList<string[]>? rows) => rows is not null && rows.All(row => row is [not null, not null]);

    private static string[][] Texts(IReadOnlyList<(string Prompt, string Response)> rows) =>
        [.. rows.Select(row => new[] { row.Prompt, row.Response })];

    private static (string, string)[] Rows(IReadOnlyList<string[]> texts) => [.. texts.Select(row => (row[0], row[1]))];

    /// <summary>As it is written. In JSON, since a row may have any letter, and a text of PostgreSQL has no U+0000.</summary>
    private sealed record Content(
        IReadOnlyDictionary<string, string> Trainer, int LargestRank, IReadOnlyList<string[]> Train, IReadOnlyList<string[]> Validation);
}
