using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>What a checkpoint belongs to, by the names of the trainer's options.</summary>
/// <param name="Run">All that decides the run: options, data, base. Where it differs, it is another run.</param>
/// <param name="Machine">
/// What decides the last bits beside it: library, device, threads. Where it differs, the run goes on and comes out a little otherwise.
/// </param>
internal sealed record RunIdentity(IReadOnlyDictionary<string, string> Run, IReadOnlyDictionary<string, string> Machine)
{
    /// <summary>Options that came after the first checkpoints, with what those were trained with.</summary>
    private static readonly Dictionary<string, string> s_before = new(StringComparer.Ordinal)
    {
        [nameof(RowOrder)] = nameof(RowOrder.Shuffled),
        [nameof(TrainedTokens)] = nameof(TrainedTokens.Response),
        [nameof(EndToken)] = nameof(EndToken.Always),
        ["Ranks"] = "1",
        [nameof(TrainingSettings.AllowTf32)] = bool.FalseString,
    };

    /// <summary>Every difference, a line each; null: there is none.</summary>
    /// <param name="stored">What the checkpoint has.</param>
    /// <param name="now">What this training has.</param>
    public static string? Difference(IReadOnlyDictionary<string, string> stored, IReadOnlyDictionary<string, string> now)
    {
        string[] differences =
        [
            .. now.Keys.Union(stored.Keys).Order(StringComparer.Ordinal)
                .Select(name => (Name: name, Stored: Stored(name), Now: now.GetValueOrDefault(name)))
                .Where(entry => entry.Stored != entry.Now)
                .Select(entry => Line(entry.Name, entry.Stored, entry.Now)),
        ];
        string separator = $"{Environment.NewLine}  ";
        return differences.Length == 0 ? null : separator + NameList.Join(differences, separator, int.MaxValue);

        string? Stored(string name) => stored.GetValueOrDefault(name) ?? s_before.GetValueOrDefault(name);
    }

    private static string Line(string name, string? stored, string? now)
    {
        IReadOnlyDictionary<string, string> shown = DifferentTexts.Shown(new[] { stored, now }.OfType<string>());
        string Value(string? text) => text is null ? "nothing" : $"'{shown[text]}'";
        return $"{NameList.Short(name)}: the checkpoint has {Value(stored)}, this training {Value(now)}";
    }
}
