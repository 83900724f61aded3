using System.Runtime.InteropServices;
using Microsoft.ML.Sorsa.Generation.Sampling;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>
/// Rows that are decoded together, whoever asked for them: every token that this library generates is chosen here. A row that is finished
/// leaves at once.
/// </summary>
/// <param name="decoding">Owned.</param>
/// <param name="failed">
/// Told of a row whose own token cannot be chosen; it leaves, and the others go on. Null: the first of them is thrown.
/// </param>
internal sealed class GenerationBatch(IDecoding decoding, Action<GenerationRow, Exception>? failed = null) : IDisposable
{
    private readonly List<GenerationRow> _rows = [];

    /// <summary>Those that are not finished.</summary>
    public IReadOnlyList<GenerationRow> Rows => _rows;

    /// <summary>Reads the prompts of rows together; they get their first token, and join.</summary>
    public void Add(IReadOnlyList<GenerationRow> rows)
    {
        using IPromptReading prompts = Begin(rows);
        Join(rows, prompts, prompts.Read(int.MaxValue)!);
    }

    /// <inheritdoc cref="IDecoding.Begin"/>
    public IPromptReading Begin(IReadOnlyList<GenerationRow> rows, int? tokens = null) =>
        decoding.Begin([.. rows.Select(row => row.Prompt)], tokens);

    /// <summary>Rows whose prompts were read get their first token, and join.</summary>
    public void Join(IReadOnlyList<GenerationRow> rows, IPromptReading prompts, Tensor scores)
    {
        decoding.Join(prompts);
        _rows.AddRange(rows);
        Extend(rows, scores);
    }

    /// <summary>One token more for every row.</summary>
    public void Step() => Extend([.. _rows], decoding.Next([.. _rows.Select(row => (long)row.NewIds[^1])]));

    /// <summary>Rows that nobody waits for any more leave.</summary>
    /// <param name="unwanted">Which.</param>
    /// <param name="keep">Whether what was read of them may serve a later prompt that begins alike.</param>
    public void Remove(Predicate<GenerationRow> unwanted, bool keep = true)
    {
        (int Row, int[]? Kept)[] leaving = [.. _rows.Index().Where(row => unwanted(row.Item))
            .Select(row => (row.Index, keep ? row.Item.ReadIds : null))];
        if (leaving.Length > 0)
        {
            decoding.Remove(leaving);
            _rows.RemoveAll(unwanted);
        }
    }

    public void Dispose() => decoding.Dispose();

    private void Extend(IReadOnlyList<GenerationRow> rows, Tensor scores)
    {
        var broken = new HashSet<GenerationRow>();
        using (scores)
        {
            (int, float)[]? highest = HighestScores.IsWorthIt(scores, rows) ? HighestScores.Of(scores) : null;
            using Tensor? host = highest is null || rows.Any(row => !row.TakesHighest) ? scores.cpu() : null;
            for (int row = 0; row < rows.Count; row++)
            {
                try
                {
                    if (highest is not null && rows[row].TakesHighest)
                    {
                        rows[row].Extend(highest[row]);
                    }
                    else
                    {
                        rows[row].Extend(Row(host!, row, rows.Count));
                    }
                }
                catch (Exception error) when (failed is not null)
                {
                    broken.Add(rows[row]);
                    failed(rows[row], error);
                }
            }
        }

        Remove(broken.Contains, keep: false);
        Remove(row => row.Stopped is not null);
    }

    private static Span<float> Row(Tensor scores, int row, int count)
    {
        Span<float> all = MemoryMarshal.Cast<byte, float>(scores.bytes);
        int vocabulary = all.Length / count;
        return all.Slice(row * vocabulary, vocabulary);
    }
}
