using System.Globalization;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Evaluation.Likelihoods;

/// <summary>
/// The perplexity of a text by windows that slide over it, as transformers' documentation has it ("Perplexity of fixed-length models"):
/// each window begins a stride behind the one before, and counts the tokens that the one before did not reach.
/// </summary>
internal sealed class TextWindows
{
    /// <summary>What a window is where nobody says: more context helps little, and takes time.</summary>
    public const int DefaultLength = 1024;

    /// <summary>A text is read whole, since its tokens follow from all of it: up to some 30 million tokens.</summary>
    private const int MostBytes = 1 << 27;

    /// <summary>Git's pointers and servers' answers are short; a longer text that begins like one is a text.</summary>
    private const int LongestAnswer = 4096;

    private const int WindowsAtOnce = 64;

    private readonly TokenScorer _scorer;
    private readonly int[] _ids;
    private readonly int _length, _stride;

    private TextWindows(TokenScorer scorer, int[] ids, int length, int stride) =>
        (_scorer, _ids, _length, _stride) = (scorer, ids, length, stride);

    /// <summary>A text's tokens, and how windows go over them; refused before any work of the model.</summary>
    /// <param name="scorer">The model.</param>
    /// <param name="path">The text.</param>
    /// <param name="windowLength">Tokens; null: <see cref="DefaultLength"/>, or the model's positions where it has fewer.</param>
    /// <param name="stride">Tokens; null: half a window.</param>
    public static TextWindows Read(TokenScorer scorer, string path, int? windowLength, int? stride)
    {
        int length = windowLength ?? Math.Min(DefaultLength, scorer.MaxPositions), step = stride ?? Math.Max(1, length / 2);
        Verify(length, step, scorer.MaxPositions);
        return new TextWindows(scorer, Encode(scorer, path), length, step);
    }

    /// <param name="cancellationToken">Checked before every batch.</param>
    public TextPerplexity Perplexity(CancellationToken cancellationToken)
    {
        double sum = 0;
        long tokens = 0;
        foreach (SupervisedExample[] windows in Of(_ids, _length, _stride).Chunk(WindowsAtOnce))
        {
            sum += _scorer.Losses(windows, cancellationToken).Sum();
            tokens += windows.Sum(window => (long)window.LabelCount);
        }

        return new TextPerplexity(sum / tokens, tokens);
    }

    /// <summary>The windows over a text's tokens; what a window does not count is its prompt.</summary>
    public static IEnumerable<SupervisedExample> Of(int[] ids, int length, int stride)
    {
        for (int begin = 0, counted = 0; counted < ids.Length; begin += stride)
        {
            int end = (int)Math.Min((long)begin + length, ids.Length);
            yield return new SupervisedExample(ids[begin..end], counted - begin);
            counted = end;
        }
    }

    private static void Verify(int length, int stride, int positions)
    {
        if (length < 2 || length > positions)
        {
            throw OptionRange.Error(
                "windowLength", length, string.Create(CultureInfo.InvariantCulture, $"from 2 to {positions}, the model's positions"),
                string.Create(CultureInfo.InvariantCulture, $"Leave it null for {Math.Min(DefaultLength, positions)}"));
        }

        if (stride < 1 || stride > length)
        {
            throw OptionRange.Error(
                "stride", stride, string.Create(CultureInfo.InvariantCulture, $"from 1 to {length}, the windowLength"),
                "A larger one would leave tokens out; leave it null for half a window");
        }
    }

    private static int[] Encode(TokenScorer scorer, string path)
    {
        string text = Read(path);
        int[] ids;
        try
        {
            ids = scorer.Prompts.Tokenizer.Encode(text, addSpecialTokens: true);
        }
        catch (TokenWithoutRowException error)
        {
            throw new InvalidDataException($"'{path}': {error.Message}", error);
        }

        return ids.Length >= 2 ? ids : throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture,
            $"'{path}' has {ids.Length} tokens, and a perplexity needs at least 2: the first has nothing to be predicted from. "
            + $"Give a longer text."));
    }

    private static string Read(string path)
    {
        using FileStream file = RegularFile.OpenRead(path);
        if (file.Length > MostBytes)
        {
            throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture,
                $"'{path}' has {file.Length} bytes, and a text is read up to {MostBytes}, as a whole. Evaluate a part of it: some "
                + $"megabytes tell as much."));
        }

        var bytes = new byte[file.Length];
        int read = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        if (read <= LongestAnswer)
        {
            WrongFile.Verify(path, bytes.AsSpan(0, read));
        }

        return Utf8Text.Read(path, bytes.AsSpan(0, read));
    }
}
