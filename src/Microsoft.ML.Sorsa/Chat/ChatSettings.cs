using System.Globalization;
using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Generation;

namespace Microsoft.ML.Sorsa.Chat;

/// <summary>From a request's <see cref="ChatOptions"/> to how its answer is generated. What would be ignored is refused.</summary>
internal static class ChatSettings
{
    private static readonly GenerationOptions s_defaults = new();

    /// <param name="options">The request's; null: none.</param>
    /// <param name="model">How the model generates where the request says nothing.</param>
    /// <param name="client">For <see cref="ChatOptions.RawRepresentationFactory"/>.</param>
    /// <exception cref="ArgumentException">A setting is outside its range, or does not fit another one.</exception>
    /// <exception cref="NotSupportedException">A setting that this client has not.</exception>
    public static (GenerationOptions Generation, long Seed) Read(ChatOptions? options, GenerationOptions model, IChatClient client)
    {
        if (options is null)
        {
            return (model, Draw());
        }

        RefuseOthers(options);
        GenerationOptions? own = options.RawRepresentationFactory?.Invoke(client) switch
        {
            null => null,
            GenerationOptions given => given,
            object other => throw new NotSupportedException(
                $"ChatOptions.RawRepresentationFactory gives a {other.GetType()}; this client takes {nameof(GenerationOptions)}."),
        };
        GenerationOptions start = own ?? model;
        double temperature = Exact(options.Temperature) ?? start.Temperature;
        bool greedy = options.Temperature == 0;
        var generation = start with
        {
            MaxNewTokens = options.MaxOutputTokens ?? start.MaxNewTokens,
            Temperature = temperature,

            // A request that asks for greedy decoding gets the likeliest token, which is in every nucleus and among any k.
            TopP = greedy ? s_defaults.TopP : Exact(options.TopP) ?? start.TopP,
            TopK = greedy ? s_defaults.TopK : options.TopK ?? start.TopK,
            StopStrings = [.. start.StopStrings, .. options.StopSequences ?? []],
            FrequencyPenalty = Penalty(nameof(ChatOptions.FrequencyPenalty), options.FrequencyPenalty),
            PresencePenalty = Penalty(nameof(ChatOptions.PresencePenalty), options.PresencePenalty),
        };
        generation.Validate();

        // The model's own seed would give all its callers the same draws; 0 is what stands there where none was given.
        return (generation, options.Seed ?? (own is { Seed: not 0 } ? own.Seed : Draw()));

        static long Draw() => Random.Shared.NextInt64();
    }

    private static void RefuseOthers(ChatOptions options)
    {
        if (options.ConversationId is { } conversation)
        {
            throw new NotSupportedException(
                $"ChatOptions.ConversationId is \"{conversation}\"; this client keeps no conversations. Send all messages each time: keys "
                + "and values of those that it has seen are kept, so that only the new ones are read.");
        }

        if (options.ResponseFormat is not null and not ChatResponseFormatText)
        {
            throw new NotSupportedException(
                "ChatOptions.ResponseFormat asks for JSON, and this client does not constrain what the model writes. Leave it out and ask "
                + "for JSON in the messages (GetResponseAsync<T> with useJsonSchemaResponseFormat: false does both), and be ready for "
                + "other text.");
        }

        if (options.Reasoning is { } reasoning && reasoning.Effort is not null and not ReasoningEffort.None)
        {
            throw new NotSupportedException(
                $"ChatOptions.Reasoning asks for the effort {reasoning.Effort}; the models of this library have no such setting. Leave it "
                + "out.");
        }

#pragma warning disable MEAI001 // Only to refuse it.
        if (options.ContinuationToken is not null)
        {
            throw new NotSupportedException(
                "ChatOptions.ContinuationToken is set; this client's answers do not go on in the background. Send the messages again.");
        }
#pragma warning restore MEAI001

        if (options.AdditionalProperties is { Count: > 0 } others)
        {
            throw new NotSupportedException(
                $"ChatOptions.AdditionalProperties has {NameList.Join([.. others.Keys])}; this client knows none. Settings beyond "
                + $"ChatOptions are those of {nameof(GenerationOptions)}: return one from ChatOptions.RawRepresentationFactory.");
        }
    }

    /// <summary>0.7f as 0.7, so that a request and <see cref="GenerationOptions"/> of the same number are the same.</summary>
    private static double? Exact(float? value) => value is not { } number
        ? null
        : double.Parse(number.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    private static double Penalty(string name, float? value) => value is null or (>= -2 and <= 2)
        ? Exact(value) ?? 0
        : throw OptionRange.Error(name, value.Value, "from -2 to 2", "Use 0 for no penalty, 0.1 to 1 against repetition");
}
