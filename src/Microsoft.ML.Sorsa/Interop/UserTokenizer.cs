using System.Globalization;
using Microsoft.ML.Sorsa.Tokenization;
using Microsoft.ML.Tokenizers;

namespace Microsoft.ML.Sorsa.Interop;

/// <summary>A tokenizer of Microsoft.ML.Tokenizers, which the users of ML.NET GenAI's models have in hand.</summary>
internal sealed class UserTokenizer : ITextTokenizer
{
    /// <summary>What is called the end of a text where there is only a list of special tokens: by Llama 3, GPT-2, Llama 2, Gemma.</summary>
    private static readonly string[] EndTokens = ["<|end_of_text|>", "<|endoftext|>", "</s>", "<eos>"];

    /// <summary>
    /// What ends a turn, in a family with what ends a text. The first family that is there counts alone: GenAI gives Llama 3's tokenizer
    /// Phi-3's special tokens, too, with ids that are words of Llama 3.
    /// </summary>
    private static readonly (string[] Turn, string[] Text)[] Families =
    [
        (["<|eot_id|>", "<|eom_id|>"], ["<|end_of_text|>"]),
        (["<|eot|>", "<|eom|>"], ["<|end_of_text|>"]),
        (["<|im_end|>"], ["<|endoftext|>"]),
        (["<end_of_turn>"], ["<eos>"]),
        (["<|END_OF_TURN_TOKEN|>"], ["<EOS_TOKEN>"]),
        (["<|return|>", "<|call|>"], ["<|endoftext|>"]),
        (["<|end|>"], ["<|endoftext|>"]),
    ];

    private const string Letter = "a";

    private readonly Tokenizer _tokenizer;
    private readonly int[] _front;
    private readonly int[] _behind;
    private readonly HashSet<int> _special;
    private readonly int _rows;
    private readonly IReadOnlyDictionary<string, int> _named;

    /// <param name="tokenizer">Not changed.</param>
    /// <param name="endTokenId">The token that ends a text; null: the one that the tokenizer names, if it does.</param>
    /// <param name="rows">
    /// How many tokens the model has scores for. Special tokens may have ids beyond, as the padding token of many models has: a text that
    /// holds such a one is refused. Null: not known.
    /// </param>
    /// <exception cref="ArgumentException">Other tokens than special ones are beyond the model's, or the one that ends a text.</exception>
    public UserTokenizer(Tokenizer tokenizer, int? endTokenId = null, int? rows = null)
    {
        _tokenizer = tokenizer;
        _rows = rows ?? int.MaxValue;

        // What a tokenizer puts around a text covers nothing of it; few of the classes can be asked for it.
        int[] around = [.. tokenizer.EncodeToIds(Letter)];
        int[] letter = [.. tokenizer.EncodeToTokens(Letter, out _)
            .Where(token => !token.Offset.Start.Equals(token.Offset.End))
            .Select(token => token.Id)];
        int start = Math.Max(around.AsSpan().IndexOf(letter), 0);
        (_front, _behind) = (around[..start], around[(start + letter.Length)..]);

        (int? end, IReadOnlyDictionary<string, int>? special, IReadOnlyDictionary<string, int>? vocabulary) = tokenizer switch
        {
            SentencePieceTokenizer known => (known.EndOfSentenceId, known.SpecialTokens, known.Vocabulary),
            CodeGenTokenizer known => (known.EndOfSentenceId, known.SpecialTokens, known.Vocabulary),
            BpeTokenizer known => (null, known.SpecialTokens, known.Vocabulary),
            TiktokenTokenizer known => (null, known.SpecialTokens, null),
            _ => ((int?)null, (IReadOnlyDictionary<string, int>?)null, (IReadOnlyDictionary<string, int>?)null),
        };
        special ??= new Dictionary<string, int>();
        _named = special;
        EosTokenId = endTokenId ?? end ?? (_behind.Length > 0 ? _behind[0] : NamedEnd(special));
        VocabularySize = vocabulary?.Values.Concat(special.Values).Max() + 1;
        EndTokenIds = [.. EosTokenId is int eos ? [eos] : Array.Empty<int>(), .. TurnEnds(special).Where(id => id != EosTokenId)];
        _special = [.. special.Values, .. _front, .. _behind, .. EosTokenId is int last ? [last] : Array.Empty<int>()];
        int own = vocabulary?.Values.Except(special.Values).Concat(_front).Append(-1).Max() + 1 ?? 0;
        if (own > _rows || EosTokenId < 0 || EosTokenId >= _rows)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"tokenizer has {Math.Max(own, VocabularySize ?? 0)} tokens, its end token is {EosTokenId}, and the model gives scores for "
                + $"{_rows}. Use the tokenizer of this model."), nameof(tokenizer));
        }
    }

    public TokenizerFiles? Files => null;

    public int? VocabularySize { get; }

    public int? BosTokenId => _front.Length > 0 ? _front[0] : null;

    public int? EosTokenId { get; }

    /// <summary>All that ends an answer: the end of a text, and what the family of its special tokens ends a turn with.</summary>
    public IReadOnlyList<int> EndTokenIds { get; }

    public int? PadTokenId => null;

    public string? BosToken => null;

    public string? EosToken => null;

    public string? ChatTemplateText => null;

    public string? ToolTemplateText => null;

    public bool AddsBos => _front.Length > 0;

    public int[] Encode(string text, bool addSpecialTokens, IReadOnlyList<Range>? plain = null, int? markedEnd = null)
    {
        if (plain is { Count: > 0 })
        {
            throw new NotSupportedException(
                $"SplitSpecialTokens is true, and {_tokenizer.GetType()} finds special tokens wherever they are written. " +
                "Set it to false, or fine-tune from a model folder, whose tokenizer is read from its files.");
        }

        int[] ids = [.. _tokenizer.EncodeToIds(text)];
        if (Array.Find(ids, id => id >= _rows) is var alien and > 0)
        {
            throw new TokenWithoutRowException(string.Create(CultureInfo.InvariantCulture,
                $"The text holds '{SpecialText(alien) ?? _tokenizer.Decode([alien])}', which is token {alien}, and the model has the "
                + $"tokens 0 to {_rows - 1}. Do without it, or give the model a row for it."));
        }

        // An empty text has nothing around it.
        return addSpecialTokens || ids.Length == 0 ? ids : ids[_front.Length..^_behind.Length];
    }

    public int? Find(string token) => _named.TryGetValue(token, out int id) && id < _rows ? id : null;

    public string? SpecialText(int id) => _named.FirstOrDefault(token => token.Value == id).Key;

    public ITextStream CreateStream() => new Stream(this);

    private static IEnumerable<int> TurnEnds(IReadOnlyDictionary<string, int> special) =>
        Families.FirstOrDefault(family => family.Turn.Any(special.ContainsKey)) is { Turn: { } turn, Text: { } text }
            ? turn.Concat(text).Where(special.ContainsKey).Select(name => special[name])
            : [];

    private static int? NamedEnd(IReadOnlyDictionary<string, int> special)
    {
        string? name = EndTokens.FirstOrDefault(special.ContainsKey);
        return name is null ? null : special[name];
    }

    /// <summary>
    /// Decodes all ids anew for each: the classes decode only whole texts. Nothing comes out while the last character is unfinished.
    /// </summary>
    private sealed class Stream(UserTokenizer tokenizer) : ITextStream
    {
        private readonly List<int> _ids = [];
        private int _given;

        public string Push(int id)
        {
            if (tokenizer._special.Contains(id))
            {
                return "";
            }

            _ids.Add(id);
            return Rest(Text().TrimEnd('\uFFFD'));
        }

        public string Flush()
        {
            string rest = Rest(Text());
            _ids.Clear();
            _given = 0;
            return rest;
        }

        private string Text() => tokenizer._tokenizer.Decode(_ids) ?? "";

        private string Rest(string text)
        {
            string rest = text.Length > _given ? text[_given..] : "";
            _given += rest.Length;
            return rest;
        }
    }
}
