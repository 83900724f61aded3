namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Remembers the ids of words that came lately: a fixed number of places, each word has one, the newer word stays. Threads share it
/// without a lock, since an entry never changes and a place is written in one go; the worst of a race is a word encoded twice.
/// </summary>
internal sealed class WordCache
{
    private const int Places = 1 << 14;
    private const int LongestWord = 24;

    private readonly Entry?[] _entries = new Entry?[Places];

    public bool TryGet(ReadOnlySpan<char> word, out int[] ids)
    {
        if (word.Length <= LongestWord && _entries[Place(word)] is { } entry && word.SequenceEqual(entry.Word))
        {
            ids = entry.Ids;
            return true;
        }

        ids = [];
        return false;
    }

    public void Put(ReadOnlySpan<char> word, ReadOnlySpan<int> ids)
    {
        if (word.Length <= LongestWord)
        {
            _entries[Place(word)] = new Entry(word.ToString(), ids.ToArray());
        }
    }

    private static int Place(ReadOnlySpan<char> word)
    {
        uint hash = 2166136261;
        foreach (char c in word)
        {
            hash = (hash ^ c) * 16777619;
        }

        return (int)((hash ^ (hash >> 15)) & (Places - 1));
    }

    private sealed record Entry(string Word, int[] Ids);
}
