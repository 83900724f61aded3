namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>What the merges of a word start from: its bytes or its characters.</summary>
internal abstract class SymbolAlphabet
{
    /// <summary>The most symbols that a UTF-16 unit can become: its bytes in UTF-8.</summary>
    public const int MaxSymbolsPerChar = 3;

    /// <summary>Spells a well-formed word in symbols and returns how many there are.</summary>
    public abstract int Spell(ReadOnlySpan<char> word, Span<int> symbols);

    /// <summary>Finds the word as one token, merges or not.</summary>
    public abstract bool TryFindWhole(ReadOnlySpan<char> word, out int id);
}

/// <summary>
/// The token for what the vocabulary lacks. Without one it is dropped without a word, as Hugging Face and llama.cpp do (SmolLM2 has no
/// token for 21 bytes), and its neighbours become neighbours.
/// </summary>
/// <param name="Id">The unknown token; null where there is none.</param>
/// <param name="Fuse">Whether a run of unknown symbols is one token.</param>
internal readonly record struct UnknownToken(int? Id, bool Fuse)
{
    public int Append(Span<int> symbols, int count, bool afterUnknown)
    {
        if (Id is not int id || (Fuse && afterUnknown))
        {
            return count;
        }

        symbols[count] = id;
        return count + 1;
    }
}
