using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>What a checkpoint belongs to, by the names of the trainer's options.</summary>
/// <param name="Run">All that decides the run: options, data, base. Where it differs, it is another run.</param>
/// <param name="Machine">
/// What decides the last bits beside it: library, device, threads. Where it differs, the run goes on and comes out a little otherwise.
/// </param>
internal sealed record RunIdentity(IReadOnlyDictionary<string, string> Run, IReadOnlyDictionary<string, string> Machine)
{
    /// <summary>Every difference, a line each; null: there is none.</summary>
    public static string? Difference(IReadOnlyDictionary<string, string> stored, IReadOnlyDictionary<string, string> now)
    {
        string[] differences =
        [
            .. now.Keys.Union(stored.Keys).Order(StringComparer.Ordinal)
                .Where(name => now.GetValueOrDefault(name) != stored.GetValueOrDefault(name))
                .Select(name => $"{name}: the checkpoint has {stored.GetValueOrDefault(name, "nothing")}, "
                    + $"this training {now.GetValueOrDefault(name, "nothing")}"),
        ];
        string separator = $"{Environment.NewLine}  ";
        return differences.Length == 0 ? null : separator + NameList.Join(differences, separator);
    }
}
