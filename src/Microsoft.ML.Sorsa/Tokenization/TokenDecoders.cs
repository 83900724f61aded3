using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Unicode;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>Turns tokens back into text.</summary>
internal abstract class TokenDecoder
{
    /// <summary>The text of all tokens together.</summary>
    public abstract string Decode(IReadOnlyList<string> tokens);

    /// <summary>A decoder that is handed one token after the other.</summary>
    public abstract TokenStreamDecoder CreateStream();
}

/// <summary>Decodes token by token: a character comes out as soon as its last byte is there, and never half.</summary>
internal abstract class TokenStreamDecoder
{
    /// <summary>The text that this token completes; empty where it completes none.</summary>
    public abstract string Push(string token);

    /// <summary>What is left at the end: U+FFFD for an unfinished character. Afterwards a new text may begin.</summary>
    public abstract string Flush();
}

/// <summary>
/// Tokens are bytes and the bytes are UTF-8; what is not becomes one U+FFFD per maximal invalid part, as .NET's decoder does it.
/// </summary>
internal sealed class ByteLevelDecoder : TokenDecoder
{
    public override string Decode(IReadOnlyList<string> tokens)
    {
        ArrayBufferWriter<byte> bytes = new();
        foreach (string token in tokens)
        {
            ByteAlphabet.Read(token, bytes);
        }

        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    public override TokenStreamDecoder CreateStream() => new Stream();

    private sealed class Stream : TokenStreamDecoder
    {
        private readonly Decoder _utf8 = Encoding.UTF8.GetDecoder();
        private readonly ArrayBufferWriter<byte> _bytes = new();

        public override string Push(string token)
        {
            _bytes.ResetWrittenCount();
            ByteAlphabet.Read(token, _bytes);
            return Convert(_bytes.WrittenSpan, flush: false);
        }

        public override string Flush() => Convert([], flush: true);

        private string Convert(ReadOnlySpan<byte> bytes, bool flush)
        {
            char[] chars = new char[_utf8.GetCharCount(bytes, flush)];
            _utf8.GetChars(bytes, chars, flush);
            return new string(chars);
        }
    }
}

/// <summary>
/// Tokens are text with marks for spaces, or single bytes. A run of bytes that is not valid UTF-8 as a whole becomes one U+FFFD per byte,
/// as in the tokenizers library (SentencePiece keeps the valid characters of the run). At the very beginning up to
/// <paramref name="stripped"/> characters <paramref name="strippedChar"/> go.
/// </summary>
/// <param name="replacements">What is replaced in a token, in this order ("▁" by a space).</param>
/// <param name="strippedChar">The character that is stripped.</param>
/// <param name="stripped">How many of it at most.</param>
internal sealed class ByteFallbackDecoder(IReadOnlyList<ReplaceRewrite> replacements, char strippedChar, int stripped) : TokenDecoder
{
    private const char Replacement = '\uFFFD';

    public override string Decode(IReadOnlyList<string> tokens)
    {
        StringBuilder text = new();
        List<byte> run = [];
        foreach (string token in tokens)
        {
            string replaced = Replace(token);
            if (IsByte(replaced, out byte value))
            {
                run.Add(value);
                continue;
            }

            AppendRun(text, run);
            text.Append(replaced);
        }

        AppendRun(text, run);
        int allowance = stripped;
        return Strip(text.ToString(), ref allowance);
    }

    public override TokenStreamDecoder CreateStream() => new Stream(this);

    private static void AppendRun(StringBuilder text, List<byte> run)
    {
        byte[] bytes = [.. run];
        text.Append(Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : new string(Replacement, bytes.Length));
        run.Clear();
    }

    private static bool IsByte(string token, out byte value)
    {
        value = 0;
        return token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
            && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }

    private string Replace(string token)
    {
        foreach (ReplaceRewrite replacement in replacements)
        {
            token = replacement.Apply(token, atStart: false);
        }

        return token;
    }

    private string Strip(string text, ref int allowance)
    {
        int start = 0;
        while (start < text.Length && allowance > 0)
        {
            allowance = text[start] == strippedChar ? allowance - 1 : 0;
            start += text[start] == strippedChar ? 1 : 0;
        }

        return text[start..];
    }

    /// <summary>
    /// Emits each character of a run of bytes when it is complete. Whether the run stays valid shows only later, so in a run with stray
    /// bytes the valid characters remain here.
    /// </summary>
    private sealed class Stream(ByteFallbackDecoder decoder) : TokenStreamDecoder
    {
        private readonly List<byte> _pending = [];
        private int _allowance = decoder.MaxStripped;

        public override string Push(string token)
        {
            string replaced = decoder.Replace(token);
            if (!IsByte(replaced, out byte value))
            {
                return decoder.Strip(GiveUpPending() + replaced, ref _allowance);
            }

            _pending.Add(value);
            return decoder.Strip(TakeComplete(), ref _allowance);
        }

        public override string Flush()
        {
            string rest = decoder.Strip(GiveUpPending(), ref _allowance);
            _allowance = decoder.MaxStripped;
            return rest;
        }

        private string TakeComplete()
        {
            StringBuilder text = new();
            while (_pending.Count > 0)
            {
                OperationStatus status = Rune.DecodeFromUtf8([.. _pending], out Rune character, out int length);
                if (status == OperationStatus.NeedMoreData)
                {
                    break;
                }

                text.Append(status == OperationStatus.Done ? character.ToString() : new string(Replacement, length));
                _pending.RemoveRange(0, length);
            }

            return text.ToString();
        }

        private string GiveUpPending()
        {
            string rest = new(Replacement, _pending.Count);
            _pending.Clear();
            return rest;
        }
    }

    private int MaxStripped => stripped;
}
