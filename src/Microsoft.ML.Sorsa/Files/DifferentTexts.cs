using System.Text;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>Texts that differ, as they stand side by side in a message: long ones are cut, and never to the same words.</summary>
internal static class DifferentTexts
{
    private const int Longest = 48, Before = 12;

    /// <summary>What is shown of each text: all of it, or the parts about the places where one begins to differ from another.</summary>
    public static IReadOnlyDictionary<string, string> Shown(IEnumerable<string> texts)
    {
        string[] sorted = [.. texts.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

        // Any two begin alike up to a place at which two neighbours of this order do.
        int[] places =
        [
            .. sorted.Zip(sorted.Skip(1), (one, next) => one.AsSpan().CommonPrefixLength(next)).DefaultIfEmpty(0).Distinct().Order(),
        ];
        return sorted.ToDictionary(text => text, text => text.Length <= Longest ? text : Cut(text, places), StringComparer.Ordinal);
    }

    private static string Cut(string text, IEnumerable<int> places)
    {
        var shown = new StringBuilder();
        int end = 0;
        foreach (int from in places.Select(place => Math.Max(0, place - Before)).Where(from => from < text.Length))
        {
            int start = Math.Max(end, from), next = Math.Max(end, Math.Min(text.Length, from + Longest));
            shown.Append(start > end ? "..." : "").Append(text, start, next - start);
            end = next;
        }

        return shown.Append(end < text.Length ? "..." : "").ToString();
    }
}
