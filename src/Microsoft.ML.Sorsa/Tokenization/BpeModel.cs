using System.Buffers;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Byte-pair encoding of one word after the other, for all formats. Microsoft.ML.Tokenizers has no model that gives the right ids of Llama
/// 2 and Mistral: its SentencePieceTokenizer does not take the leftmost of equal merges (34 of 747 golden rows differ, 91 with Metaspace),
/// and its BpeTokenizer has neither fallback to bytes nor ignore_merges. For byte-level files only their patterns over UTF-16 units are
/// wrong (4 to 6 rows), but one model for all is less code than three behind adapters.
/// </summary>
internal sealed class BpeModel(Vocabulary vocabulary, SymbolAlphabet alphabet, MergeTable merges, bool wholeWordsFirst) : IPieceSink
{
    private const int StackLimit = 128;

    private readonly WordCache _cache = new();

    public SymbolAlphabet Alphabet => alphabet;

    public MergeTable Merges => merges;

    /// <summary>A word that is a token as a whole is that token, whatever the merges say (ignore_merges).</summary>
    public bool WholeWordsFirst => wholeWordsFirst;

    /// <summary>
    /// Whether a text may be cut in front of every <paramref name="mark"/> that follows another character: no token reaches across such a
    /// place, so the ids stay the same. That is what keeps a text without a pre-tokenizer from being a single word of megabytes.
    /// </summary>
    public bool AllowsCutAt(char mark)
    {
        return !wholeWordsFirst && vocabulary.TryFind([mark], out _) && !merges.Products.Any(id => Reaches(vocabulary[id]!));

        bool Reaches(string token)
        {
            int last = token.LastIndexOf(mark);
            return last > 0 && token.AsSpan(0, last).ContainsAnyExcept(mark);
        }
    }

    /// <inheritdoc/>
    public void Accept(ReadOnlySpan<char> piece, List<int> ids)
    {
        if (_cache.TryGet(piece, out int[] known))
        {
            ids.AddRange(known.AsSpan());
            return;
        }

        int first = ids.Count;
        if (wholeWordsFirst && alphabet.TryFindWhole(piece, out int whole))
        {
            ids.Add(whole);
        }
        else
        {
            Merge(piece, ids);
        }

        _cache.Put(piece, CollectionsMarshal.AsSpan(ids)[first..]);
    }

    private void Merge(ReadOnlySpan<char> word, List<int> ids)
    {
        int limit = checked(word.Length * SymbolAlphabet.MaxSymbolsPerChar);
        int[]? rented = limit > StackLimit ? ArrayPool<int>.Shared.Rent(limit) : null;
        Span<int> symbols = rented ?? stackalloc int[StackLimit];
        int count = alphabet.Spell(word, symbols);
        count = merges.Apply(symbols[..count]);
        ids.AddRange(symbols[..count]);
        if (rented is not null)
        {
            ArrayPool<int>.Shared.Return(rented);
        }
    }
}

/// <summary>
/// Remembers the ids of words that came lately: a fixed number of slots, each word has one, the newer word stays. Threads share it
/// without a lock, since an entry never changes and a slot is written in one go; the worst of a race is a word encoded twice.
/// </summary>
internal sealed class WordCache
{
    private const int Capacity = 1 << 14;
    private const int LongestWord = 24;

    private readonly Entry?[] _entries = new Entry?[Capacity];

    public bool TryGet(ReadOnlySpan<char> word, out int[] ids)
    {
        if (word.Length <= LongestWord && _entries[Slot(word)] is { } entry && word.SequenceEqual(entry.Word))
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
            _entries[Slot(word)] = new Entry(word.ToString(), ids.ToArray());
        }
    }

    private static int Slot(ReadOnlySpan<char> word)
    {
        uint hash = 2166136261;
        foreach (char c in word)
        {
            hash = (hash ^ c) * 16777619;
        }

        return (int)((hash ^ (hash >> 15)) & (Capacity - 1));
    }

    private sealed record Entry(string Word, int[] Ids);
}
