using System.Buffers;
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

    public override int? UnknownId => _unknown.Id;

    public override bool HasEveryByte => _idOfByte is not null;

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

/// <summary>
/// Byte-level BPE: the symbols are the bytes of the text in UTF-8, and the vocabulary writes each byte as a printable character.
/// </summary>
internal sealed class ByteAlphabet : SymbolAlphabet
{
    private const int Missing = -1;

    private static readonly char[] s_charOfByte = CharsOfBytes();
    private static readonly short[] s_byteOfChar = BytesOfChars();

    private readonly Vocabulary _vocabulary;
    private readonly int[] _idOfByte = new int[256];
    private readonly UnknownToken _unknown;

    public ByteAlphabet(Vocabulary vocabulary, UnknownToken unknown)
    {
        _vocabulary = vocabulary;
        _unknown = unknown;
        for (int i = 0; i < 256; i++)
        {
            _idOfByte[i] = vocabulary.TryFind([s_charOfByte[i]], out int id) ? id : Missing;
        }
    }

    public override int? UnknownId => _unknown.Id;

    public override bool HasEveryByte => !_idOfByte.Contains(Missing);

    /// <summary>How the vocabulary writes these bytes.</summary>
    public static string Write(ReadOnlySpan<byte> bytes) => string.Create(bytes.Length, bytes, static (chars, bytes) =>
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            chars[i] = s_charOfByte[bytes[i]];
        }
    });

    /// <summary>
    /// The bytes that a token stands for. One with a character outside the table (a special token, say) is its own UTF-8.
    /// </summary>
    public static void Read(string token, IBufferWriter<byte> bytes)
    {
        Span<byte> target = bytes.GetSpan(Encoding.UTF8.GetMaxByteCount(token.Length));
        for (int i = 0; i < token.Length; i++)
        {
            if (token[i] >= s_byteOfChar.Length || s_byteOfChar[token[i]] < 0)
            {
                bytes.Advance(Encoding.UTF8.GetBytes(token, target));
                return;
            }

            target[i] = (byte)s_byteOfChar[token[i]];
        }

        bytes.Advance(token.Length);
    }

    public override int Spell(ReadOnlySpan<char> word, Span<int> symbols)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(word.Length * MaxSymbolsPerChar);
        int length = Encoding.UTF8.GetBytes(word, bytes);
        int count = 0;
        bool afterUnknown = false;
        foreach (byte value in bytes.AsSpan(0, length))
        {
            int id = _idOfByte[value];
            if (id == Missing)
            {
                count = _unknown.Append(symbols, count, afterUnknown);
            }
            else
            {
                symbols[count++] = id;
            }

            afterUnknown = id == Missing;
        }

        ArrayPool<byte>.Shared.Return(bytes);
        return count;
    }

    public override bool TryFindWhole(ReadOnlySpan<char> word, out int id) =>
        _vocabulary.TryFind(Write(Encoding.UTF8.GetBytes(word.ToArray())), out id);

    // GPT-2's table: a byte that is a visible Latin-1 character stands for itself, the others follow from U+0100 on in their order.
    private static char[] CharsOfBytes()
    {
        char[] chars = new char[256];
        char spare = '\u0100';
        for (int i = 0; i < 256; i++)
        {
            bool visible = i is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            chars[i] = visible ? (char)i : spare++;
        }

        return chars;
    }

    private static short[] BytesOfChars()
    {
        short[] bytes = new short[s_charOfByte.Max() + 1];
        Array.Fill(bytes, (short)-1);
        for (int i = 0; i < 256; i++)
        {
            bytes[s_charOfByte[i]] = (short)i;
        }

        return bytes;
    }
}

/// <summary>What the merges of a word start from: its bytes or its characters.</summary>
internal abstract class SymbolAlphabet
{
    /// <summary>The token for what the vocabulary lacks; null where there is none.</summary>
    public abstract int? UnknownId { get; }

    /// <summary>Whether every text can be spelled, by bytes where the vocabulary has nothing else.</summary>
    public abstract bool HasEveryByte { get; }

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
