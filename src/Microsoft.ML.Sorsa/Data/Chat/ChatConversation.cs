using System.Text.Json;
using System.Text.Json.Nodes;

namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>What a chat template is given; <see cref="Messages"/> is never empty.</summary>
internal sealed record ChatConversation(
    IReadOnlyList<ChatMessage> Messages,
    bool AddGenerationPrompt,
    string? BosToken,
    string? EosToken)
{
    /// <summary>What the model may call, for templates that have a place for it.</summary>
    public IReadOnlyList<ChatTool> Tools { get; init; } = [];

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

/// <summary>One message of a conversation.</summary>
/// <param name="Role">Who speaks: <c>system</c>, <c>user</c>, <c>assistant</c>; what others mean is the template's affair.</param>
/// <param name="Content">The text, taken as it is: what looks like Jinja or like a special token stays.</param>
internal sealed record ChatMessage(string Role, string Content)
{
    /// <summary>What an assistant's message calls instead of answering.</summary>
    public IReadOnlyList<ChatToolCall> ToolCalls { get; init; } = [];

    /// <summary>The call that a tool's message is the result of; null: it is none, or has none.</summary>
    public string? ToolCallId { get; init; }

    /// <summary>What a tool gave, where that is no text; <see cref="Content"/> is it as JSON.</summary>
    public JsonElement? Result { get; init; }
}

/// <summary>Something that a model may call.</summary>
/// <param name="Name">By which it is called.</param>
/// <param name="Description">What it does.</param>
/// <param name="Parameters">What it takes, as a JSON schema.</param>
internal sealed record ChatTool(string Name, string Description, JsonElement Parameters)
{
    /// <summary>As transformers hands tools to a template.</summary>
    public JsonElement ToJson() => JsonSerializer.SerializeToElement(new JsonObject
    {
        ["type"] = "function",
        ["function"] = new JsonObject
        {
            ["name"] = Name,
            ["description"] = Description,
            ["parameters"] = JsonSerializer.SerializeToNode(Parameters),
        },
    });
}

/// <summary>A call of a tool.</summary>
/// <param name="Id">What its result is known by; null: the model gave it none.</param>
/// <param name="Name">The tool's.</param>
/// <param name="Arguments">A JSON object.</param>
internal sealed record ChatToolCall(string? Id, string Name, JsonElement Arguments);

/// <summary>Text as Jinja, that is Python, handles it.</summary>
internal static class JinjaText
{
    /// <summary>
    /// <c>text.strip()</c> and <c>text | trim</c>. Python counts the separators U+001C to U+001F as white space, .NET does not.
    /// </summary>
    public static string Strip(string text)
    {
        string rest = StripEnd(text);
        int start = 0;
        while (start < rest.Length && IsSpace(rest[start]))
        {
            start++;
        }

        return rest[start..];
    }

    /// <summary><c>text.rstrip()</c>.</summary>
    public static string StripEnd(string text)
    {
        int end = text.Length;
        while (end > 0 && IsSpace(text[end - 1]))
        {
            end--;
        }

        return text[..end];
    }

    private static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\u001C' and <= '\u001F';
}
