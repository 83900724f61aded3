using System.Collections.Frozen;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// The small files that make up a tokenizer, held as bytes, so that a model folder and a model zip are treated alike.
/// </summary>
internal sealed class TokenizerFiles
{
    public const string TokenizerJson = "tokenizer.json";
    public const string TokenizerModel = "tokenizer.model";
    public const string TokenizerConfig = "tokenizer_config.json";
    public const string SpecialTokensMap = "special_tokens_map.json";
    public const string AddedTokens = "added_tokens.json";
    public const string ChatTemplate = "chat_template.jinja";
    public const string ChatTemplateJson = "chat_template.json";
    public const string VocabJson = "vocab.json";
    public const string MergesTxt = "merges.txt";

    /// <summary>
    /// Not the tokenizer's, but as small, and the only place where some chat models name all the tokens that end an answer.
    /// </summary>
    public const string GenerationConfig = "generation_config.json";

    private readonly FrozenDictionary<string, byte[]> _files;

    /// <summary>Takes the files by name.</summary>
    /// <exception cref="InvalidDataException">
    /// A name is not a tokenizer file's plain name, comes twice, or neither vocabulary is there.
    /// </exception>
    public TokenizerFiles(IEnumerable<KeyValuePair<string, byte[]>> files)
    {
        Dictionary<string, byte[]> taken = new(StringComparer.Ordinal);
        foreach ((string name, byte[] content) in files)
        {
            if (!KnownNames.Contains(name, StringComparer.Ordinal))
            {
                throw new InvalidDataException(
                    $"'{name}' is not a tokenizer file; they are {string.Join(", ", KnownNames)}, without a folder.");
            }

            if (!taken.TryAdd(name, content))
            {
                throw new InvalidDataException($"The tokenizer file '{name}' comes twice.");
            }
        }

        if (!HoldsVocabulary(taken.ContainsKey))
        {
            throw new InvalidDataException(
                $"A tokenizer needs {TokenizerJson} or {TokenizerModel}, or {VocabJson} and {MergesTxt}; there are only: "
                + $"{string.Join(", ", taken.Keys)}.");
        }

        _files = taken.ToFrozenDictionary(StringComparer.Ordinal);
        Names = [.. KnownNames.Where(_files.ContainsKey)];
    }

    /// <summary>The names of all that may be there.</summary>
    public static IReadOnlyList<string> KnownNames { get; } =
    [
        TokenizerJson, TokenizerModel, TokenizerConfig, SpecialTokensMap, ChatTemplate, GenerationConfig, AddedTokens, ChatTemplateJson,
        VocabJson, MergesTxt,
    ];

    /// <summary>The names of the files that are there, always in the same order.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>Reads those of the files that exist in <paramref name="folder"/>.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It holds none of the files that a vocabulary is in.</exception>
    public static TokenizerFiles FromFolder(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException($"The tokenizer folder '{folder}' does not exist.");
        }

        if (!HoldsVocabulary(Exists))
        {
            throw new FileNotFoundException(
                $"'{folder}' holds neither {TokenizerJson} nor {TokenizerModel} (nor both {VocabJson} and {MergesTxt}); copy the one that "
                + "came with the model there.",
                Path.Combine(folder, TokenizerJson));
        }

        // The older pair decides nothing beside one of the others, where it often lies.
        bool whole = Exists(TokenizerJson) || Exists(TokenizerModel);
        return new TokenizerFiles(KnownNames
            .Where(name => Exists(name) && !(whole && name is (VocabJson or MergesTxt)))
            .Select(name => KeyValuePair.Create(name, RegularFile.ReadAllBytes(Path.Combine(folder, name)))));

        bool Exists(string name) => RegularFile.Exists(folder, name);
    }

    private static bool HoldsVocabulary(Func<string, bool> has) =>
        has(TokenizerJson) || has(TokenizerModel) || (has(VocabJson) && has(MergesTxt));

    /// <summary>The content of a file, or null where it is not there.</summary>
    public byte[]? Find(string name) => _files.GetValueOrDefault(name);

    /// <summary>Writes all files into <paramref name="folder"/>, byte for byte as they were read.</summary>
    public void WriteTo(NewFolder folder)
    {
        foreach (string name in Names)
        {
            folder.WriteFile(name, stream => stream.Write(_files[name]));
        }
    }
}
