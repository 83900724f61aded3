using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// What tokenizer_config.json, special_tokens_map.json and chat_template.jinja add to the tokenizer itself: which tokens begin, end and
/// pad, and the chat template. Other keys stay unread: transformers writes any argument of its classes into the two JSON files.
/// </summary>
internal sealed class TokenizerSettings
{
    public string? Bos { get; private init; }

    public string? Eos { get; private init; }

    public string? Pad { get; private init; }

    /// <summary>Read only where the tokenizer's own file does not say it (tokenizer.model).</summary>
    public bool? AddBos { get; private init; }

    /// <summary>Read only where the tokenizer's own file does not say it (tokenizer.model).</summary>
    public bool? AddEos { get; private init; }

    /// <summary>added_tokens_decoder; empty where absent.</summary>
    public IReadOnlyList<AddedToken> AddedTokens { get; private init; } = [];

    public string? ChatTemplate { get; private init; }

    /// <exception cref="InvalidDataException">A file is not JSON or one of the keys read has the wrong type.</exception>
    public static TokenizerSettings Read(TokenizerFiles files)
    {
        JsonReader? config = Parse(files, TokenizerFiles.TokenizerConfig);
        JsonReader? map = Parse(files, TokenizerFiles.SpecialTokensMap);
        return new TokenizerSettings
        {
            Bos = Token("bos_token"),
            Eos = Token("eos_token"),
            Pad = Token("pad_token"),
            AddBos = config?.Find("add_bos_token")?.Flag,
            AddEos = config?.Find("add_eos_token")?.Flag,
            AddedTokens =
            [
                .. config?.Find("added_tokens_decoder")?.Members
                    .Select(member => AddedTokenReader.Read(member.Key, member.Value)) ?? [],
            ],
            ChatTemplate = files.Find(TokenizerFiles.ChatTemplate) is { } template
                ? Utf8Text.Read(TokenizerFiles.ChatTemplate, template)
                : DefaultTemplate(config?.Find("chat_template")),
        };

        string? Token(string key) => Content(config?.Find(key)) ?? Content(map?.Find(key));
    }

    private static JsonReader? Parse(TokenizerFiles files, string name) =>
        files.Find(name) is { } bytes ? JsonReader.Parse(name, bytes) : null;

    private static string? Content(JsonReader? token) => token is null ? null : token.IsText ? token.Text : token["content"].Text;

    // Several named templates are written as a list; the one that transformers takes when none is asked for is called "default".
    private static string? DefaultTemplate(JsonReader? template) => template switch
    {
        null => null,
        { IsArray: true } list => list.Items
            .Where(item => item["name"].Text == "default")
            .Select(item => item["template"].Text)
            .FirstOrDefault(),
        { } text => text.Text,
    };
}
