using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Data.Chat;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Tokenization;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;

namespace Microsoft.ML.Sorsa.Chat;

/// <summary>A model as a client of Microsoft.Extensions.AI. Requests of all threads are decoded together.</summary>
internal sealed class SorsaChatClient : IChatClient
{
    private readonly SharedModel _model;
    private readonly object _transformer;
    private readonly PromptEncoder _prompts;
    private readonly TextGenerator _generator;
    private readonly ContinuousBatching _batching;
    private readonly ChatClientMetadata _metadata;
    private volatile bool _disposed;

    /// <param name="model">Not owned.</param>
    /// <param name="transformer">What <see cref="GetService"/> gives by its type.</param>
    /// <param name="options">How it works.</param>
    /// <exception cref="NotSupportedException">The tokenizer's chat template is needed, and is not a known one.</exception>
    /// <exception cref="ArgumentException">The tokenizer's chat template is needed, and there is none.</exception>
    public SorsaChatClient(SharedModel model, object transformer, SorsaChatOptions options)
    {
        (_model, _transformer) = (model, transformer);
        PromptTemplate template = options.Template
            ?? (model.Prompts.TemplateIsDefault && model.Prompts.Tokenizer.ChatTemplateText is not null
                ? PromptTemplate.Chat
                : model.Prompts.Template);
        _prompts = template == model.Prompts.Template && model.Prompts.MaxLength is null
            ? model.Prompts
            : new PromptEncoder(model.Prompts.Tokenizer, template);
        _generator = new TextGenerator(model.Model, _prompts, model.Generation);
        _batching = new ContinuousBatching(model, options.BatchSize, options.KeptTokens, typeof(SorsaChatClient));
        _metadata = new ChatClientMetadata("sorsa", providerUri: null, options.ModelId);
    }

    public async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken).ConfigureAwait(false);

    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        ObjectDisposedException.ThrowIf(_disposed, this);

        // What is wrong with a request is said here and not at the first word of the answer.
        string? adapter = AdapterOf(options);
        (GenerationOptions generation, long seed) = ChatSettings.Read(options, _model.Generation, this);
        IReadOnlyList<ChatTool> tools = Tools(options);
        ToolFormat? format = tools.Count > 0 ? _prompts.Tools : null;
        IReadOnlyList<Data.Chat.ChatMessage> conversation = ConversationReader.Messages(messages, options?.Instructions);
        int[] prompt = Encode(conversation, tools, nameof(messages));
        string[] callIds = [.. conversation.SelectMany(message => message.ToolCalls).Select(call => call.Id).OfType<string>()];
        TextGenerator generator = _generator.With(generation);
        return Stream(
            () => generator.CreateRow(prompt, seed: seed, shown: format?.Marks),
            () => new AnswerReader(format, options?.AllowMultipleToolCalls ?? true, new CallIds(prompt, callIds)),
            adapter, cancellationToken);
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : Array.Find([this, _transformer, _metadata], serviceType.IsInstanceOfType);
    }

    /// <summary>The model is the caller's, and stays.</summary>
    public void Dispose()
    {
        _disposed = true;
        _batching.Dispose();
    }

    /// <summary>Lines the request up when the first piece is asked for; each enumeration is an answer of its own.</summary>
    private async IAsyncEnumerable<ChatResponseUpdate> Stream(
        Func<GenerationRow> createRow, Func<AnswerReader> createReader, string? adapter,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        GenerationRow row = createRow();
        AnswerReader answer = createReader();
        GenerationRequest request = _batching.Start(row, () => adapter ?? _model.Adapters().Active, cancellationToken);
        string id = Guid.NewGuid().ToString("N");
        await foreach (string piece in request.Pieces().ConfigureAwait(false))
        {
            if (answer.Push(piece) is { Count: > 0 } contents)
            {
                yield return Update([.. contents]);
            }
        }

        ChatResponseUpdate last = Update([.. answer.Complete(), new UsageContent(new UsageDetails
        {
            InputTokenCount = row.Prompt.Length,
            CachedInputTokenCount = request.KeptTokens,
            OutputTokenCount = row.NewIds.Count,
            TotalTokenCount = row.Prompt.Length + row.NewIds.Count,
        })]);
        last.FinishReason = row.Stopped == StopReason.Length ? ChatFinishReason.Length
            : answer.HasCall ? ChatFinishReason.ToolCalls
            : ChatFinishReason.Stop;
        yield return last;

        ChatResponseUpdate Update(IList<AIContent> contents) => new(ChatRole.Assistant, contents)
        {
            ResponseId = id,
            MessageId = id,
            ModelId = adapter ?? _metadata.DefaultModelId,
            CreatedAt = DateTimeOffset.UtcNow,
        };
    }

    /// <summary>The adapter that a request names as its model; null: the one that is in use.</summary>
    private string? AdapterOf(ChatOptions? options)
    {
        if (options?.ModelId is not { } id || id == _metadata.DefaultModelId)
        {
            return null;
        }

        IReadOnlyList<string> names = _model.Adapters().Names;
        return names.Contains(id) ? id : throw new ArgumentException(
            $"ChatOptions.ModelId is \"{id}\"; this client has {NameList.Quoted([_metadata.DefaultModelId!, .. names])}. Name one of them "
            + "(the first is the model with the adapter that is in use, the others are its adapters), or leave it out.", nameof(options));
    }

    private IReadOnlyList<ChatTool> Tools(ChatOptions? options)
    {
        if (options?.Tools is not { Count: > 0 } tools || options.ToolMode is NoneChatToolMode)
        {
            return [];
        }

        if (_prompts.Tools is null)
        {
            ITextTokenizer tokenizer = _prompts.Tokenizer;
            throw new NotSupportedException(
                $"ChatOptions.Tools has {NameList.Join([.. tools.Select(tool => tool.Name)])}, and {TemplateName} has no place for tools. "
                + (ChatTemplate.Find(tokenizer.ChatTemplateText, tokenizer.ToolTemplateText) is { Tools: not null, Name: { } own }
                    ? $"That of its tokenizer, {own}, has: set SorsaChatOptions.Template to PromptTemplate.Chat, or leave them out."
                    : tokenizer.ToolTemplateText is { } toolUse
                    ? $"The tokenizer's own for tools, tool_use (SHA-256 {ChatTemplate.Hash(toolUse)}), is not one that can be rendered. "
                        + $"Leave them out, or use a model whose template is one of {string.Join(", ", ChatTemplate.WithTools)}."
                    : $"Leave them out, or use a model whose template has: {string.Join(", ", ChatTemplate.WithTools)}."));
        }

        return options.ToolMode is not RequiredChatToolMode ? ConversationReader.Tools(tools) : throw new NotSupportedException(
            "ChatOptions.ToolMode requires a call, and this client does not constrain what the model writes. Use ChatToolMode.Auto, and "
            + "ask for the call in the messages.");
    }

    private string TemplateName => _prompts.ChatTemplateName is { } name ? $"the chat template {name}" : "the model's prompt template";

    private int[] Encode(IReadOnlyList<Data.Chat.ChatMessage> conversation, IReadOnlyList<ChatTool> tools, string argument)
    {
        if (_prompts.Tools is null && conversation.FirstOrDefault(message => message.ToolCalls.Count > 0) is { } calling)
        {
            throw new NotSupportedException(
                $"A message calls the tool {calling.ToolCalls[0].Name}, and {TemplateName} has no place for calls: the model would not see "
                + "it. Leave calls and their results out, or say in words what they gave.");
        }

        int[] ids;
        try
        {
            ids = _prompts.Encode(conversation, tools);
        }
        catch (InvalidDataException refusal)
        {
            throw new ArgumentException(
                $"{char.ToUpperInvariant(TemplateName[0])}{TemplateName[1..]} refuses the messages, whose roles are "
                + $"{NameList.Join([.. conversation.Select(message => message.Role)])}: {refusal.Message}", argument, refusal);
        }

        int positions = _model.Model.MaxPositions;
        return ids.Length < positions ? ids : throw new ArgumentException(
            FormattableString.Invariant($"The messages have {ids.Length} tokens in the model's template; it has {positions} positions, ")
            + FormattableString.Invariant($"so that at most {positions - 1} leave room for an answer. ")
            + "Leave out or shorten the oldest messages (UseChatReducer of Microsoft.Extensions.AI does), or use a model with more "
            + "positions.", argument);
    }
}
