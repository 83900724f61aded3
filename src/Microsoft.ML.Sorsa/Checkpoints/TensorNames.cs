namespace Microsoft.ML.Sorsa.Checkpoints;

/// <summary>
/// Names that a wrapper around the model left its mark in: torch.compile ("_orig_mod."), data parallelism ("module."), FSDP, PEFT
/// ("base_model.model."), a larger model that this one is a part of; or from a model without its head, whose names lack "model.".
/// </summary>
internal static class TensorNames
{
    /// <summary>Wrappers of single layers, whose marks stand within a name.</summary>
    private static readonly string[] s_marks = ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."];

    /// <summary>
    /// The names that stored tensors have without what stands in front of all of them, or lacks there; those that are right already, and
    /// those that belong to no expected name, are left out.
    /// </summary>
    /// <param name="stored">The names in the files.</param>
    /// <param name="expected">The names that the model asks for.</param>
    /// <param name="prefix">What was taken away from all of them, for messages; empty where nothing was.</param>
    public static IReadOnlyDictionary<string, string> Renamed(
        IReadOnlyCollection<string> stored, IReadOnlySet<string> expected, out string prefix)
    {
        prefix = "";
        Dictionary<string, string> withoutLead = expected.Select(name => (Name: name, Tail: name[(name.IndexOf('.') + 1)..]))
            .Where(pair => pair.Tail.Contains('.'))
            .GroupBy(pair => pair.Tail, StringComparer.Ordinal)
            .ToDictionary(pairs => pairs.Key, pairs => pairs.First().Name, StringComparer.Ordinal);
        var found = new List<(string Stored, string Name, string Prefix)>();
        foreach (string name in stored)
        {
            string bare = s_marks.Aggregate(name, (text, mark) => text.Replace(mark, "", StringComparison.Ordinal));
            if (Longest(bare, expected.Contains) is { } tail)
            {
                found.Add((name, tail, bare[..^tail.Length]));
            }
            else if (Longest(bare, withoutLead.ContainsKey) is { } headless)
            {
                found.Add((name, withoutLead[headless], bare[..^headless.Length]));
            }
        }

        // Two models in one file (a copy of moving averages, say), or two tensors for one name: nothing is guessed then.
        string[] prefixes = [.. found.Select(entry => entry.Prefix).Distinct(StringComparer.Ordinal)];
        bool isOneModel = prefixes.Length <= 1 && found.Select(entry => entry.Name).Distinct(StringComparer.Ordinal).Count() == found.Count;
        (string Stored, string Name, string Prefix)[] renamed = [.. found.Where(entry => entry.Stored != entry.Name)];
        if (!isOneModel || renamed.Length == 0)
        {
            return new Dictionary<string, string>();
        }

        (string first, string name0, _) = renamed[0];
        prefix = first.EndsWith(name0, StringComparison.Ordinal) ? first[..^name0.Length] : prefixes[0];
        return renamed.ToDictionary(entry => entry.Stored, entry => entry.Name, StringComparer.Ordinal);
    }

    /// <summary>The longest part from a dot (or the beginning) to the end that is known; null where none is.</summary>
    private static string? Longest(string name, Func<string, bool> isKnown)
    {
        for (int at = 0; ; at = name.IndexOf('.', at) + 1)
        {
            if (isKnown(name[at..]))
            {
                return name[at..];
            }

            if (name.IndexOf('.', at) < 0)
            {
                return null;
            }
        }
    }
}
