using System.Globalization;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>Names as they stand in a message: the first ten, and how many more there are.</summary>
internal static class NameList
{
    /// <summary>What is listed at most: a message is read by a person.</summary>
    public const int Most = 10;

    /// <param name="names">All of them, in the order to show.</param>
    /// <param name="separator">Between two of them.</param>
    public static string Join(IReadOnlyCollection<string> names, string separator = ", ")
    {
        string shown = string.Join(separator, names.Take(Most));
        return names.Count <= Most
            ? shown
            : string.Create(CultureInfo.InvariantCulture, $"{shown}{separator}and {names.Count - Most} more");
    }

    /// <summary>Two lists in one, so that the first ten show something of both where they do not all fit.</summary>
    public static IReadOnlyCollection<string> InTurns(IReadOnlyCollection<string> first, IReadOnlyCollection<string> second) =>
        first.Count + second.Count <= Most
            ? [.. first, .. second]
            : [
                .. first.Select((name, place) => (name, place)).Concat(second.Select((name, place) => (name, place)))
                    .OrderBy(pair => pair.place).Select(pair => pair.name),
            ];
}
