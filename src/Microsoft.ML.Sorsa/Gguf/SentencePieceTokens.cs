using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Gguf;

/// <summary>
/// SentencePiece's byte-pair encoding as llama.cpp does it: of all neighbours that together are a token, those with the highest score
/// become one first, the leftmost among equals; a character without a token becomes its bytes.
/// </summary>
internal sealed class SentencePieceTokens
{
    private const char Space = MarkSplitter.Space;

    /// <summary>
    /// Looked at where runs of a character may merge in two orders: several times the longest token of blanks that there is.
    /// </summary>
    private const int LongestRun = 200;

    private readonly TokenizerPipeline _pipeline;
    private readonly HashSet<int> _added;

    /// <exception cref="NotSupportedException">The tokenizer is another one.</exception>
    public SentencePieceTokens(TextTokenizer tokenizer)
    {
        _pipeline = tokenizer.Pipeline;
        _added = [.. tokenizer.AddedTokens.Select(token => token.Id)];
        string? fault =
            !_pipeline.Model.Alphabet.HasEveryByte ? "its model has no bytes to spell other characters with (byte_fallback)"
            : _pipeline.Model.WholeWordsFirst ? "its model takes whole words before merges (ignore_merges)"
            : _pipeline.Stages.Any(stage => stage != PreTokenizerReader.EveryMark) ? $"it cuts texts with {NameList.Join(_pipeline.Stages)}"
            : _pipeline.Stages.Count > 0 && InnerMark() is { } token ? $"it cuts in front of every mark, and has the token '{token}'"
            : null;
        if (fault is not null)
        {
            throw Refused(fault);
        }
    }

    /// <summary>Whether a blank stands in front of a text, and of what follows a special token.</summary>
    /// <param name="differences">Gets what llama.cpp does otherwise.</param>
    /// <exception cref="NotSupportedException">Texts are changed in another way.</exception>
    public bool AddsSpace(List<string> differences)
    {
        switch ((IReadOnlyList<TextRewrite>)[.. _pipeline.Normalizer, .. _pipeline.Rewrites])
        {
            case [PrependRewrite { Prefix: [Space] }, ReplaceRewrite { Old: " ", New: [Space] }]:
                return true;

            case [ReplaceRewrite { Old: " ", New: [Space] }] or [MetaspaceRewrite { Mark: Space, Prefix: MetaspacePrefix.Never }]:
                return false;

            case [MetaspaceRewrite { Mark: Space, Prefix: var prefix }]:
                differences.Add(prefix == MetaspacePrefix.First
                    ? "it puts a blank in front of texts that begin with one, and behind special tokens inside a text"
                    : "it puts a blank in front of texts that begin with one");
                return true;

            default:
                throw Refused("it changes texts (normalizer) otherwise than by marks for blanks");
        }
    }

    /// <summary>The score of every id.</summary>
    /// <param name="count">How many ids there are.</param>
    /// <exception cref="NotSupportedException">Scores do not give the merges of the tokenizer.</exception>
    public IReadOnlyList<float> Scores(int count)
    {
        Vocabulary vocabulary = _pipeline.Vocabulary;
        var scores = new float[count];
        if (_pipeline.Scores is { } written)
        {
            Array.Fill(scores, -1000, vocabulary.Size, Math.Max(count - vocabulary.Size, 0));
            for (int id = 0; id < Math.Min(count, written.Count); id++)
            {
                scores[id] = written[id];
            }

            return scores;
        }

        int[][] groups = [.. Groups()];
        var ranks = groups.Index().SelectMany(group => group.Item.Select(id => (id, group.Index)))
            .ToDictionary(pair => pair.id, pair => pair.Index);
        VerifyOrder(groups, ranks);
        for (int id = 0; id < count; id++)
        {
            scores[id] = -ranks.GetValueOrDefault(id, groups.Length);
        }

        return scores;
    }

    /// <summary>
    /// The tokens that merges lead to, in their order. Those whose merges have each other's between them have one score: runs of blanks
    /// are such ones in SentencePiece's own files.
    /// </summary>
    private IEnumerable<int[]> Groups()
    {
        var merges = _pipeline.Model.Merges.InOrder.Index().GroupBy(merge => merge.Item.Product)
            .Select(product => (Id: product.Key, First: product.First().Index, Last: product.Last().Index));
        var group = new List<int>();
        int last = -1;
        foreach ((int id, int first, int end) in merges)
        {
            if (first > last && group.Count > 0)
            {
                yield return [.. group];
                group.Clear();
            }

            group.Add(id);
            last = Math.Max(last, end);
        }

        if (group.Count > 0)
        {
            yield return [.. group];
        }
    }

    /// <summary>Whether the scores give the merges of the tokenizer, in their order.</summary>
    /// <param name="groups">What has one score.</param>
    /// <param name="ranks">The place of each token's group.</param>
    private void VerifyOrder(int[][] groups, Dictionary<int, int> ranks)
    {
        Vocabulary vocabulary = _pipeline.Vocabulary;
        MergeTable own = _pipeline.Model.Merges;
        MergeTable scored = MergeTable.FromRanks(vocabulary, vocabulary.Ids.Values
            .Where(id => !_added.Contains(id) && !GgufVocabulary.IsByte(vocabulary[id]!))
            .ToDictionary(id => id, id => ranks.GetValueOrDefault(id, groups.Length)));
        foreach ((int left, int right, int product) in scored.InOrder)
        {
            if (!own.Has(left, right))
            {
                throw Refused(
                    $"'{NameList.Short(vocabulary[product]!)}' is a token and so are '{vocabulary[left]}' and '{vocabulary[right]}', which "
                    + "it does not merge, and llama.cpp would");
            }
        }

        foreach (string[] tokens in groups.Where(group => group.Length > 1).Select(group => group.Select(id => vocabulary[id]!).ToArray()))
        {
            char run = tokens[0][0];
            if (tokens.Any(token => token.AsSpan().ContainsAnyExcept(run)) || !vocabulary.TryFind([run], out int one)
                || Enumerable.Range(1, LongestRun).Any(length => !Merged(own, one, length).SequenceEqual(Merged(scored, one, length))))
            {
                throw Refused($"its merges to {NameList.Join(tokens)} stand among each other, so they are not in the order of scores");
            }
        }

        static int[] Merged(MergeTable merges, int token, int length)
        {
            int[] symbols = [.. Enumerable.Repeat(token, length)];
            return symbols[..merges.Apply(symbols)];
        }
    }

    /// <summary>A token that merges lead to, with a mark behind its first character.</summary>
    private string? InnerMark() => _pipeline.Model.Merges.Products.Select(id => _pipeline.Vocabulary[id]!)
        .FirstOrDefault(token => token.LastIndexOf(Space) > 0);

    private NotSupportedException Refused(string fault) => new(
        $"{_pipeline.File} is no tokenizer that llama.cpp has: {fault}. Use a byte-level tokenizer, or SentencePiece's with the algorithm "
        + "BPE and byte_fallback.");
}
