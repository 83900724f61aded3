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
}
