using System.Text;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// What the files beside the tokenizer itself say: which tokens there are besides, which of them begin, end and pad, and the chat template.
/// Other keys stay unread: transformers writes any argument of its classes into the two JSON files. So does <c>legacy</c>: a file alone
/// that is SentencePiece's is read as SentencePiece itself reads it, and a tokenizer.json as it is written.
/// </summary>
internal sealed class TokenizerSettings
{
    // In the order in which transformers numbers those that have no id.
    private static readonly string[] s_keys =
        [SpecialToken.Bos, SpecialToken.Eos, "unk_token", "sep_token", SpecialToken.Pad, "cls_token", "mask_token"];

    // The second is what transformers 5 calls the first; it may give each of them a name.
    private static readonly string[] s_lists = ["additional_special_tokens", "extra_special_tokens"];

    /// <summary>All that are named, those of the lists last.</summary>
    public IReadOnlyList<SpecialToken> SpecialTokens { get; private init; } = [];

    /// <summary>Whether BOS stands in front; null: as the tokenizer's own file says.</summary>
    public bool? AddBos { get; private init; }

    /// <summary>Whether EOS stands behind; null: as the tokenizer's own file says.</summary>
    public bool? AddEos { get; private init; }

    /// <summary>Whether a space stands in front; null: as the tokenizer's own file says.</summary>
    public bool? AddPrefixSpace { get; private init; }

    /// <summary>The class of transformers that wrote the files.</summary>
    public string? TokenizerClass { get; private init; }

    /// <summary>added_tokens_decoder; empty where absent.</summary>
    public IReadOnlyList<AddedToken> AddedTokensDecoder { get; private init; } = [];

    /// <summary>added_tokens.json; empty where absent.</summary>
    public IReadOnlyList<AddedToken> AddedTokens { get; private init; } = [];

    public string? ChatTemplate { get; private init; }

    /// <summary>Of several templates the one for conversations with tools; null: there is none.</summary>
    public string? ToolTemplate { get; private init; }

    /// <summary>The token of a key; null where none is named.</summary>
    public SpecialToken? Find(string key) => SpecialTokens.FirstOrDefault(token => token.Key == key);

    /// <exception cref="InvalidDataException">A file is not JSON or one of the keys read has the wrong type.</exception>
    /// <exception cref="NotSupportedException">Special tokens are to be split like text.</exception>
    public static TokenizerSettings Read(TokenizerFiles files)
    {
        JsonReader? config = Parse(files, TokenizerFiles.TokenizerConfig);
        JsonReader? map = Parse(files, TokenizerFiles.SpecialTokensMap);
        config?.Refuse("split_special_tokens", meaningless: false);

        // The template's own file is all there is: transformers' additional_chat_templates folder is not read (docs/chat.md).
        byte[]? ownTemplate = files.Find(TokenizerFiles.ChatTemplate);
        JsonReader? templates = ownTemplate is not null ? null
            : config?.Find("chat_template") ?? Parse(files, TokenizerFiles.ChatTemplateJson)?.Find("chat_template");

        // In this order: the map is the older file, and transformers does not read it where the configuration lists its added tokens.
        (JsonReader? Json, string File)[] sources = [(config, TokenizerFiles.TokenizerConfig), (map, TokenizerFiles.SpecialTokensMap)];
        return new TokenizerSettings
        {
            SpecialTokens = [.. ReadSpecialTokens(sources).Where(token => token.Token.Content.Length > 0)],
            AddBos = config?.Find("add_bos_token")?.Flag,
            AddEos = config?.Find("add_eos_token")?.Flag,
            AddPrefixSpace = config?.Find("add_prefix_space")?.Flag,
            TokenizerClass = config?.Find("tokenizer_class")?.Text,
            AddedTokensDecoder = [.. AddedTokenReader.ReadDecoder(config?.Find("added_tokens_decoder"))],
            AddedTokens = [.. AddedTokenReader.ReadIds(Parse(files, TokenizerFiles.AddedTokens))],
            ChatTemplate = ownTemplate is not null
                ? Utf8Text.Read(TokenizerFiles.ChatTemplate, ownTemplate)
                : Template(templates, "default"),
            ToolTemplate = templates is { IsArray: true } ? Template(templates, "tool_use") : null,
        };
    }

    private static IEnumerable<SpecialToken> ReadSpecialTokens((JsonReader? Json, string File)[] sources)
    {
        foreach (string key in s_keys)
        {
            (JsonReader? json, string file) = sources.FirstOrDefault(source => source.Json?.Has(key) ?? false);
            if (json is not null)
            {
                yield return new SpecialToken(key, AddedTokenReader.ReadNamed(json[key]), file);
            }
        }

        foreach (string key in s_lists)
        {
            foreach ((JsonReader? json, string file) in sources)
            {
                JsonReader? list = json?.Find(key);
                foreach (JsonReader item in list is null ? [] : list.IsArray ? list.Items : list.Keys.Select(name => list[name]))
                {
                    yield return new SpecialToken(key, AddedTokenReader.ReadNamed(item), file);
                }
            }
        }
    }

    private static JsonReader? Parse(TokenizerFiles files, string name) =>
        files.Find(name) is { } bytes ? JsonReader.Parse(name, bytes) : null;

    // Several named templates are written as a list; of one name the last counts, as in transformers, which takes "tool_use" where there
    // are tools, and "default" otherwise.
    private static string? Template(JsonReader? templates, string name) => templates switch
    {
        null => null,
        { IsText: true } text => text.Text,
        { IsArray: true } list =>
            list.Items.Where(item => item["name"].Text == name).Select(item => item["template"].Text).LastOrDefault(),
        { } other => throw other.Invalid("must be a string, or a list of objects with name and template"),
    };
}

/// <summary>A token that is named as special, and where.</summary>
/// <param name="Key">Such as eos_token.</param>
/// <param name="Token">Without an id.</param>
/// <param name="File">The file that names it.</param>
internal sealed record SpecialToken(string Key, AddedToken Token, string File)
{
    public const string Bos = "bos_token";
    public const string Eos = "eos_token";
    public const string Pad = "pad_token";
}
