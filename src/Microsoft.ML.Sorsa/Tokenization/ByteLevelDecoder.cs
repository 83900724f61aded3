using System.Buffers;
using System.Text;

namespace Microsoft.ML.Sorsa.Tokenization;

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
