using System.Text;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>How the models of a chat template write calls of tools.</summary>
/// <param name="Openings">Each begins a call, wherever in an answer it stands.</param>
/// <param name="Read">The calls in what an opening begins, itself included; null: there are none after all, or they are not whole.</param>
internal sealed record ToolFormat(IReadOnlyList<string> Openings, Func<string, IReadOnlyList<ChatToolCall>?> Read)
{
    /// <summary>Those that begin a call only where nothing but white space stands in front of them.</summary>
    public IReadOnlyList<string> Beginnings { get; init; } = [];

    /// <summary>Ends what an opening begins; null: only the answer's end does.</summary>
    public string? Closing { get; init; }

    /// <summary>All that may be a special token, and must be seen all the same.</summary>
    public IReadOnlyList<string> Marks => [.. Openings, .. Beginnings, .. Closing is null ? Array.Empty<string>() : [Closing]];

    /// <summary>Where in an answer a call begins, or may turn out to begin when more of it is there; its length: nowhere.</summary>
    /// <param name="answer">What is there of it.</param>
    /// <param name="isBeginning">Whether nothing was in front of it.</param>
    public (int At, bool IsCertain) FindCall(string answer, bool isBeginning)
    {
        int start = answer.Length - answer.AsSpan().TrimStart().Length;
        if (isBeginning && Beginnings.Any(mark => answer.AsSpan(start).StartsWith(mark, StringComparison.Ordinal)))
        {
            return (start, true);
        }

        if (isBeginning && Beginnings.Any(mark => mark.AsSpan().StartsWith(answer.AsSpan(start), StringComparison.Ordinal)))
        {
            return (0, false);
        }

        int[] found = [.. Openings.Select(mark => answer.IndexOf(mark, StringComparison.Ordinal)).Where(at => at >= 0)];
        if (found.Length > 0)
        {
            return (found.Min(), true);
        }

        // White space in front of what may be a call may belong to it.
        int possible = Openings.Min(mark => MayBegin(answer, mark));
        return (answer.AsSpan(0, possible).TrimEnd().Length, false);
    }

    /// <summary>Whether what follows an opening is JSON that ends inside of a string, so that a mark at its end is somebody's words.
    /// </summary>
    public bool EndsInsideString(string call)
    {
        string opening = Openings.First(mark => call.StartsWith(mark, StringComparison.Ordinal));
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(call[opening.Length..]), isFinalBlock: false, default);
        try
        {
            while (reader.Read())
            {
                // To the end, or to what is no JSON.
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>Where the longest beginning of a mark stands that ends a text; its length: there is none.</summary>
    private static int MayBegin(string text, string mark)
    {
        for (int at = Math.Max(0, text.Length - mark.Length + 1); at < text.Length; at++)
        {
            if (mark.AsSpan().StartsWith(text.AsSpan(at), StringComparison.Ordinal))
            {
                return at;
            }
        }

        return text.Length;
    }
}

/// <summary>Calls as models write them: a name and arguments as JSON.</summary>
internal static class ToolCallJson
{
    /// <summary>Of two values of a name neither is what the model meant.</summary>
    private static readonly JsonDocumentOptions s_options = new() { AllowDuplicateProperties = false };

    /// <summary>The calls in a JSON text; null: it is not whole, or something in it is no call that can be made and sent back.</summary>
    /// <param name="json">A call, or an array of calls.</param>
    /// <param name="kind">Which of the two.</param>
    /// <param name="arguments">What the arguments are called; the first of these names that is there counts.</param>
    public static IReadOnlyList<ChatToolCall>? Read(string json, JsonValueKind kind, params string[] arguments)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, s_options);
            return document.RootElement.ValueKind != kind ? null
                : kind == JsonValueKind.Array ? [.. document.RootElement.EnumerateArray().Select(call => ReadCall(call, arguments))]
                : [ReadCall(document.RootElement, arguments)];
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <exception cref="JsonException">It is no call that can be made and sent back in the next turn.</exception>
    private static ChatToolCall ReadCall(JsonElement call, string[] names)
    {
        JsonElement arguments = call.GetProperty(Array.Find(names, name => call.TryGetProperty(name, out _)) ?? names[0]);
        if (arguments.ValueKind != JsonValueKind.Object || call.GetProperty("name").GetString() is not { Length: > 0 } name)
        {
            throw new JsonException("A call needs a name, and arguments that are an object.");
        }

        // A text that is no Unicode shows only where it is read.
        JinjaJson.Write(arguments);
        return new ChatToolCall(
            call.TryGetProperty("id", out JsonElement id) && id.ValueKind == JsonValueKind.String ? id.GetString() : null,
            name, arguments.Clone());
    }
}
