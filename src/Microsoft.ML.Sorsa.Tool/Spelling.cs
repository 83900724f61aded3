namespace Microsoft.ML.Sorsa.Tool;

/// <summary>Which name was meant.</summary>
internal static class Spelling
{
    /// <summary>The name with the fewest letters to change, at most a third of them, rounded up; null where none is that near.</summary>
    public static string? Nearest(string text, IEnumerable<string> names) =>
        names.Select(name => (Name: name, Distance: Distance(text, name)))
            .Where(near => near.Distance <= (text.TrimStart('-').Length + 2) / 3)
            .OrderBy(near => near.Distance).ThenBy(near => near.Name, StringComparer.Ordinal)
            .Select(near => near.Name).FirstOrDefault();

    /// <summary>Levenshtein's: letters to insert, delete or replace.</summary>
    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, 1 + Math.Min(row[j], row[j - 1]));
            }
        }

        return row[b.Length];
    }
}
