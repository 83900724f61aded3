using System.Globalization;
using System.Text;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// The symbols are characters (code points); one that the vocabulary lacks becomes its bytes, where the model falls back to bytes.
/// </summary>
internal sealed class CharacterAlphabet : SymbolAlphabet
{
    private readonly Vocabulary _vocabulary;
    // The scripts most texts are in have a table, the rest a dictionary.
    private const int TableSize = 0x3000;
    private const int Missing = -1;

    private readonly int[] _idOfCommon = new int[TableSize];
    private readonly Dictionary<int, int> _idOfOther = [];
    private readonly int[]? _idOfByte;
    private readonly UnknownToken _unknown;

    /// <exception cref="InvalidDataException">The model falls back to bytes and not all 256 have a token.</exception>
    public CharacterAlphabet(Vocabulary vocabulary, UnknownToken unknown, bool byteFallback, string file)
    {
        _vocabulary = vocabulary;
        _unknown = unknown;
        Array.Fill(_idOfCommon, Missing);
        foreach ((string token, int id) in vocabulary.Ids)
        {
            if (Rune.DecodeFromUtf16(token, out Rune character, out int length) == System.Buffers.OperationStatus.Done
                && length == token.Length)
            {
                if (character.Value < TableSize)
                {
                    _idOfCommon[character.Value] = id;
                }
                else
                {
                    _idOfOther.Add(character.Value, id);
                }
            }
        }

        if (byteFallback)
        {
            _idOfByte = [.. Enumerable.Range(0, 256).Select(value => vocabulary.TryFind(ByteToken((byte)value), out int id)
                ? id
                : throw new InvalidDataException(
                    $"{file}: the model falls back to bytes, but the vocabulary has no '{ByteToken((byte)value)}'."))];
        }
    }

    /// <summary>How the vocabulary writes a single byte.</summary>
    public static string ByteToken(byte value) => string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>");

    public override int Spell(ReadOnlySpan<char> word, Span<int> symbols)
    {
        int count = 0;
        bool afterUnknown = false;
        Span<byte> bytes = stackalloc byte[4];
        foreach (Rune character in word.EnumerateRunes())
        {
            bool unknown = false;
            int id = character.Value < TableSize ? _idOfCommon[character.Value] : _idOfOther.GetValueOrDefault(character.Value, Missing);
            if (id != Missing)
            {
                symbols[count++] = id;
            }
            else if (_idOfByte is not null)
            {
                foreach (byte value in bytes[..character.EncodeToUtf8(bytes)])
                {
                    symbols[count++] = _idOfByte[value];
                }
            }
            else
            {
                unknown = true;
                count = _unknown.Append(symbols, count, afterUnknown);
            }

            afterUnknown = unknown;
        }

        return count;
    }

    public override bool TryFindWhole(ReadOnlySpan<char> word, out int id) => _vocabulary.TryFind(word, out id);
}
