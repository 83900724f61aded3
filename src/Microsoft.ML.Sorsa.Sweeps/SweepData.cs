using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Data;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>The rows of an experiment, read once.</summary>
/// <param name="Train">Prompts and responses to train on.</param>
/// <param name="Validation">Others, to compare the trials by.</param>
internal sealed record SweepData(
    IReadOnlyList<(string Prompt, string Response)> Train, IReadOnlyList<(string Prompt, string Response)> Validation)
{
    /// <summary>Takes a share of the rows away for validation: which ones, the seed decides.</summary>
    public static SweepData Split(IReadOnlyList<(string Prompt, string Response)> rows, double validationFraction, int seed)
    {
        int[] order = SeededDraw.Permutation(seed, "validation", rows.Count);
        int count = Math.Max(1, (int)Math.Round(rows.Count * validationFraction));
        HashSet<int> chosen = [.. order.Take(count)];
        return new SweepData([.. rows.Where((_, i) => !chosen.Contains(i))], [.. rows.Where((_, i) => chosen.Contains(i))]);
    }

    /// <summary>SHA-256 over all rows in their order.</summary>
    public string Fingerprint()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(BitConverter.GetBytes(Train.Count));
        foreach ((string prompt, string response) in Train.Concat(Validation))
        {
            foreach (string text in new[] { prompt, response })
            {
                byte[] bytes = Encoding.UTF8.GetBytes(text);
                hash.AppendData(BitConverter.GetBytes(bytes.Length));
                hash.AppendData(bytes);
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The validation rows as data, for a metric.</summary>
    public IDataView ValidationView(SorsaFineTuningTrainer.Options options)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(Row));
        schema[nameof(Row.Prompt)].ColumnName = options.PromptColumnName;
        schema[nameof(Row.Response)].ColumnName = options.ResponseColumnName;
        return new MLContext().Data.LoadFromEnumerable(
            Validation.Select(row => new Row { Prompt = row.Prompt, Response = row.Response }), schema);
    }

    private sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }
}
