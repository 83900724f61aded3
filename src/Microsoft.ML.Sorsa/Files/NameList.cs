using System.Globalization;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>Names as they stand in a message: the first ten, and how many more there are.</summary>
internal static class NameList
{
    /// <summary>What is listed at most: a message is read by a person.</summary>
    public const int Most = 10;

    /// <summary>What is shown of one name at most: names are read from files, which may hold any.</summary>
    private const int LongestName = 160;

    /// <param name="names">All of them, in the order to show.</param>
    /// <param name="separator">Between two of them.</param>
    /// <param name="longest">What is shown of each; more where they are our own words.</param>
    public static string Join(IReadOnlyCollection<string> names, string separator = ", ", int longest = LongestName)
    {
        string shown = string.Join(separator, names.Take(Most).Select(name => Short(name, longest)));
        return names.Count <= Most
            ? shown
            : string.Create(CultureInfo.InvariantCulture, $"{shown}{separator}and {names.Count - Most} more");
    }

    /// <summary>The same of names that the user gave, which may be any words: each in quotes.</summary>
    public static string Quoted(IEnumerable<string> names) => Join([.. names.Select(name => $"'{Short(name)}'")], longest: int.MaxValue);

    /// <summary>A text of a file as it stands in a message: its beginning, where it is long.</summary>
    public static string Short(string text, int longest = LongestName) => text.Length <= longest ? text : text[..longest] + "...";

    /// <summary>Two lists in one, so that the first ten show something of both where they do not all fit.</summary>
    public static IReadOnlyCollection<string> InTurns(IReadOnlyCollection<string> first, IReadOnlyCollection<string> second) =>
        first.Count + second.Count <= Most
            ? [.. first, .. second]
            : [
                .. first.Select((name, place) => (name, place)).Concat(second.Select((name, place) => (name, place)))
                    .OrderBy(pair => pair.place).Select(pair => pair.name),
            ];
}
