namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Cuts in front of the mark that stands for a space ("▁"): of every mark (Metaspace with split), or only of those that follow another
/// character (which <see cref="BpeModel.AllowsCutAt"/> must allow).
/// </summary>
internal sealed class MarkSplitter(char mark, bool everyMark, IPieceSink next) : IPieceSink
{
    /// <summary>"▁", which SentencePiece writes for a space.</summary>
    public const char Space = '\u2581';

    public void Accept(ReadOnlySpan<char> piece, List<int> ids)
    {
        while (true)
        {
            int kept = everyMark || piece[0] != mark ? 1 : piece.IndexOfAnyExcept(mark);
            int length = kept < 0 ? -1 : piece[kept..].IndexOf(mark);
            if (length < 0)
            {
                next.Accept(piece, ids);
                return;
            }

            next.Accept(piece[..(kept + length)], ids);
            piece = piece[(kept + length)..];
        }
    }
}
