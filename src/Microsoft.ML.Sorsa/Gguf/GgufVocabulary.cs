using System.Globalization;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Gguf;

/// <summary>The tokens of a GGUF file and what each is: as many as the model has rows.</summary>
internal sealed class GgufVocabulary
{
    // ggml's numbers.
    private const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6;

    public GgufVocabulary(TextTokenizer tokenizer, int rows)
    {
        TokenizerPipeline pipeline = tokenizer.Pipeline;
        bool byBytes = pipeline.Model.Alphabet is ByteAlphabet;
        Dictionary<int, AddedToken> added = tokenizer.AddedTokens.ToDictionary(token => token.Id);
        var ids = new Dictionary<string, int>(rows, StringComparer.Ordinal);
        var tokens = new string[rows];
        var types = new int[rows];
        for (int id = 0; id < rows; id++)
        {
            AddedToken? whole = added.GetValueOrDefault(id);
            string? text = whole?.Content ?? (id < pipeline.Vocabulary.Size ? pipeline.Vocabulary[id] : null);
            tokens[id] = text ?? string.Create(CultureInfo.InvariantCulture, $"[PAD{id}]");
            types[id] = text is null ? Unused
                : !byBytes && id == pipeline.Model.Alphabet.UnknownId ? Unknown
                : whole is not null ? (whole.Special ? Control : UserDefined)
                : !byBytes && IsByte(text) ? Byte
                : Normal;
            if (!ids.TryAdd(tokens[id], id))
            {
                throw new NotSupportedException(
                    $"The tokens {ids[tokens[id]]} and {id} are both '{NameList.Short(tokens[id])}', and llama.cpp has one id for a text.");
            }
        }

        (Tokens, Types) = (tokens, types);
    }

    public IReadOnlyList<string> Tokens { get; }

    public IReadOnlyList<int> Types { get; }

    /// <summary>Whether a token of SentencePiece's stands for one byte.</summary>
    public static bool IsByte(string token) => token is ['<', '0', 'x', _, _, '>']
        && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value)
        && CharacterAlphabet.ByteToken(value) == token;
}
