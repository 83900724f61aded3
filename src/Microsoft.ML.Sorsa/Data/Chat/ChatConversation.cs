namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>What a chat template is given; <see cref="Messages"/> is never empty.</summary>
internal sealed record ChatConversation(
    IReadOnlyList<ChatMessage> Messages,
    bool AddGenerationPrompt,
    string? BosToken,
    string? EosToken)
{
    /// <summary>The first message's text where that is the system's (it may be empty), otherwise null.</summary>
    public string? SystemMessage => Messages[0].Role == "system" ? Messages[0].Content : null;

    /// <summary>The messages after the system message.</summary>
    public IReadOnlyList<ChatMessage> Turns => SystemMessage is null ? Messages : [.. Messages.Skip(1)];

    /// <summary>
    /// The BOS token for a template that joins it to other text: Jinja prints an undefined value as nothing, but refuses to join one.
    /// </summary>
    public string RequiredBosToken => BosToken ?? throw Undefined("bos_token");

    /// <summary>The EOS token, likewise.</summary>
    public string RequiredEosToken => EosToken ?? throw Undefined("eos_token");

    private static InvalidDataException Undefined(string token) => new(
        $"'{token}' is undefined: the chat template writes it and the tokenizer has none. Set {token} in tokenizer_config.json, " +
        $"or pass a prompt template of your own: {nameof(PromptTemplate)}.{nameof(PromptTemplate.Format)}.");
}
