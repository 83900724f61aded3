using System.Text;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>How the models of a chat template write calls of tools.</summary>
/// <param name="Openings">Each begins a call, wherever in an answer it stands.</param>
/// <param name="MayFollow">
/// Whether a character may be the first behind an opening that is no white space; otherwise the opening is a mention of itself.
/// </param>
/// <param name="Read">The calls in what an opening begins, itself included; null: there are none after all, or they are not whole.</param>
internal sealed record ToolFormat(
    IReadOnlyList<string> Openings, Func<char, bool> MayFollow, Func<string, IReadOnlyList<ChatToolCall>?> Read)
{
    /// <summary>Those that begin a call only where nothing but white space stands in front of them.</summary>
    public IReadOnlyList<string> Beginnings { get; init; } = [];

    /// <summary>Ends what an opening begins; null: only the answer's end does.</summary>
    public string? Closing { get; init; }

    /// <summary>Around what the model thinks before it answers, where nothing is a call; null: it does not think.</summary>
    public ThoughtMarks? Thought { get; init; }

    /// <summary>All that may be a special token, and must be seen all the same.</summary>
    public IReadOnlyList<string> Marks =>
    [
        .. Openings, .. Beginnings, .. Closing is null ? Array.Empty<string>() : [Closing],
        .. Thought is null ? Array.Empty<string>() : [Thought.Opening, Thought.Closing],
    ];

    /// <summary>Where in an answer the first call begins, or may turn out to begin when more of it is there.</summary>
    /// <param name="answer">What is there of it.</param>
    /// <param name="isBeginning">Whether nothing was in front of it.</param>
    public CallPlace FindCall(string answer, bool isBeginning)
    {
        int start = SkipBlank(answer, 0);
        if (isBeginning && Beginnings.Any(mark => answer.AsSpan(start).StartsWith(mark, StringComparison.Ordinal)))
        {
            return new CallPlace(0, start, start, IsCertain: true);
        }

        if (isBeginning && Beginnings.Any(mark => mark.AsSpan().StartsWith(answer.AsSpan(start), StringComparison.Ordinal)))
        {
            return new CallPlace(0, start, answer.Length, IsCertain: false);
        }

        for ((int at, int end) = FindOpening(answer, 0); at >= 0; (at, end) = FindOpening(answer, end))
        {
            int next = SkipBlank(answer, end);
            if (next == answer.Length || MayFollow(answer[next]))
            {
                return new CallPlace(BlankBefore(answer, at), at, end, IsCertain: next < answer.Length);
            }
        }

        int possible = Openings.Min(mark => MarkAtEnd(answer, mark));
        return new CallPlace(BlankBefore(answer, possible), possible, answer.Length, IsCertain: false);
    }

    /// <summary>Whether JSON ends inside of a string, so that a mark at its end is somebody's words.</summary>
    public static bool EndsInsideString(string json)
    {
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(json), isFinalBlock: false, default);
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
    public static int MarkAtEnd(string text, string mark)
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

    private (int At, int End) FindOpening(string answer, int from) => Openings
        .Select(mark => (At: answer.IndexOf(mark, from, StringComparison.Ordinal), mark.Length))
        .Where(found => found.At >= 0)
        .Select(found => (found.At, found.At + found.Length))
        .DefaultIfEmpty((-1, -1)).Min();

    private static int SkipBlank(string text, int from) => text.Length - text.AsSpan(from).TrimStart().Length;

    private static int BlankBefore(string text, int end) => text.AsSpan(0, end).TrimEnd().Length;
}

/// <summary>Where a call begins.</summary>
/// <param name="At">Where the white space in front of its mark begins, which may belong to it.</param>
/// <param name="MarkAt">Where its mark begins.</param>
/// <param name="JsonAt">Where what it calls begins.</param>
/// <param name="IsCertain">Whether it is to be read as a call; false: what comes next says it.</param>
internal readonly record struct CallPlace(int At, int MarkAt, int JsonAt, bool IsCertain);

/// <summary>What stands around a model's thoughts in front of its answer.</summary>
/// <param name="Opening">Where the answer does not begin with it, the model did not think.</param>
/// <param name="Closing">Without it all is thought.</param>
/// <param name="IsOpen">Whether the prompt ends with the opening, so that answers begin inside of a thought.</param>
internal sealed record ThoughtMarks(string Opening, string Closing, bool IsOpen = false);

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
