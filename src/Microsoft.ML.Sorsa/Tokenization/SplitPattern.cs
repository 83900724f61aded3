using System.Globalization;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// The regular expression that a text is split by. It comes with a model, from anybody: a pattern such as (a+)+b, which backtracks twice
/// as long for each letter more, must not hold the thread. So a pattern runs without backtracking where it has nothing that asks for it;
/// one that looks around has a time limit, which grows with the text; the common ones need none, since no text makes them backtrack far.
/// </summary>
internal sealed partial class SplitPattern
{
    /// <summary>The pattern of GPT-2, which ByteLevel means by use_regex and no file holds.</summary>
    public const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>The pattern of Llama 3, which its tokenizer.model does not hold.</summary>
    public const string Llama3 = Contractions + @"\p{N}{1,3}" + Rest;

    /// <summary>The pattern of Qwen 2, which its vocab.json does not hold.</summary>
    public const string Qwen2 = Contractions + @"\p{N}" + Rest;

    private const string Contractions = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|";
    private const string Rest = @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>What any match and any text may take, however busy the machine is.</summary>
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(10);

    // A hundred times what the common patterns need.
    private const int CharactersPerMillisecond = 100;

    private readonly Regex _regex;
    private readonly string _place;
    private readonly TimeSpan _limit;

    /// <param name="pattern">As the tokenizers library reads it.</param>
    /// <param name="place">What errors call it: its file, and where in the file.</param>
    /// <param name="limit">How long a match may take, and a text besides what its length allows; null: 10 s.</param>
    /// <exception cref="ArgumentException">
    /// It is no regular expression, or one that .NET may read otherwise than the tokenizers library.
    /// </exception>
    public SplitPattern(string pattern, string place, TimeSpan? limit = null)
    {
        if (MeaningDiffers().Match(pattern) is { Success: true } part)
        {
            throw new ArgumentException($"'{part.Value}' may mean something else in .NET than in the tokenizers library.", nameof(pattern));
        }

        _place = place;
        _limit = pattern is Gpt2 or Llama3 or Qwen2 ? Regex.InfiniteMatchTimeout : limit ?? s_limit;
        _regex = Compile(pattern, _limit);
    }

    /// <summary>The matches in a text, one after the other.</summary>
    /// <exception cref="InvalidDataException">Thrown while they are enumerated: the limit is passed.</exception>
    public MatchEnumerator Matches(ReadOnlySpan<char> text) => new(this, text);

    private static Regex Compile(string pattern, TimeSpan limit)
    {
        if (limit != Regex.InfiniteMatchTimeout)
        {
            try
            {
                return new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
            }
            catch (NotSupportedException)
            {
                // It looks around, or would need too many states: there is only the clock.
            }
        }

        return new Regex(pattern, RegexOptions.Compiled | RegexOptions.CultureInvariant, limit);
    }

    private InvalidDataException TooSlow(int length, Exception? inner = null) => new(
        string.Create(CultureInfo.InvariantCulture,
            $"{_place}: the split pattern '{_regex}' takes too long on a text of {length} characters, since it tries the same characters " +
            $"over and over. Use the tokenizer that came with the model, or a pattern in which no repetition stands inside another."),
        inner);

    // Escapes other than \s \S \r \n \t, general categories and punctuation; options, groups and classes of other syntax; anchors;
    // possessives.
    [GeneratedRegex(
        @"\\(?:[^sSrntpP\W_]|[pP](?!\{[LMNPSZC][a-z]?\}))|\(\?\w*[xmsnU]\w*[:)]|\(\?[<>P#]|\[\[:|&&|\$|\^(?<!\[\^)|[+*?]\+",
        RegexOptions.CultureInvariant)]
    private static partial Regex MeaningDiffers();

    /// <summary>As <see cref="Regex.ValueMatchEnumerator"/>, with the clock in view.</summary>
    internal ref struct MatchEnumerator
    {
        private readonly SplitPattern _pattern;
        private readonly int _length;
        private readonly long _end;
        private Regex.ValueMatchEnumerator _matches;

        public MatchEnumerator(SplitPattern pattern, ReadOnlySpan<char> text)
        {
            _pattern = pattern;
            _length = text.Length;
            _matches = pattern._regex.EnumerateMatches(text);
            _end = pattern._regex.MatchTimeout == Regex.InfiniteMatchTimeout
                ? long.MaxValue
                : Environment.TickCount64 + (long)pattern._limit.TotalMilliseconds + (text.Length / CharactersPerMillisecond);
        }

        public readonly ValueMatch Current => _matches.Current;

        public readonly MatchEnumerator GetEnumerator() => this;

        public bool MoveNext()
        {
            if (_end != long.MaxValue && Environment.TickCount64 > _end)
            {
                throw _pattern.TooSlow(_length);
            }

            try
            {
                return _matches.MoveNext();
            }
            catch (RegexMatchTimeoutException error)
            {
                throw _pattern.TooSlow(_length, error);
            }
        }
    }
}
