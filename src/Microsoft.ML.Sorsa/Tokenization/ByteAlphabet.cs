using System.Buffers;
using System.Text;

namespace Microsoft.ML.Sorsa.Tokenization;

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
