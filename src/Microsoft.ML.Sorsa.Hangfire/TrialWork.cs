using System.Text.Json;

namespace Microsoft.ML.Sorsa;

/// <summary>What a worker has to know of a study beside its definition.</summary>
/// <param name="Trainer">The options that trials do not vary, and for those that they do the values where a trial has none.</param>
/// <param name="LargestRank">The rank at which matrices are decomposed: another one, other last bits.</param>
/// <param name="Train">Rows to train on: prompt, response.</param>
/// <param name="Validation">Rows to look at.</param>
internal sealed record TrialWork(IReadOnlyDictionary<string, string> Trainer, int LargestRank, IReadOnlyList<string[]> Train, IReadOnlyList<string[]> Validation)
{
    public static TrialWork Of(Sweep sweep) => new(
        new Dictionary<string, string>(sweep.Trainer.ToTexts(), StringComparer.Ordinal), SweptOptions.LargestRank(sweep.Trainer, sweep.Space), Texts(sweep.Data.Train), Texts(sweep.Data.Validation));

    public static TrialWork Parse(string json) => JsonSerializer.Deserialize<TrialWork>(json)!;

    /// <summary>In JSON, since a row may have any letter, and a text of PostgreSQL has no U+0000.</summary>
    public string ToJson() => JsonSerializer.Serialize(this);

    public SweepData Data() => new(Rows(Train), Rows(Validation));

    /// <summary>The trainer's options, over this machine's copy of the model.</summary>
    public SorsaFineTuningTrainer.Options Options(string modelFolder)
    {
        var options = new SorsaFineTuningTrainer.Options { ModelFolder = modelFolder };
        foreach ((string name, string text) in Trainer)
        {
            options.Set(name, text);
        }

        return options;
    }

    private static string[][] Texts(IReadOnlyList<(string Prompt, string Response)> rows) => [.. rows.Select(row => new[] { row.Prompt, row.Response })];

    private static (string, string)[] Rows(IReadOnlyList<string[]> texts) => [.. texts.Select(row => (row[0], row[1]))];
}
