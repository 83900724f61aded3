using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>
/// Tools in the format of Llama 3.1 to 3.3: what may be called stands in the first message, a call is a JSON object that an answer consists
/// of, a result is a message of the role <c>ipython</c>.
/// </summary>
internal static partial class LlamaTools
{
    /// <summary>
    /// In front of what the model wants to have run: Python, a call of a tool that Meta names, and sometimes one of its own.
    /// </summary>
    private const string PythonMark = "<|python_tag|>";

    public static ToolFormat Format { get; } = new([PythonMark], IsFirst, Read) { Beginnings = ["{"] };

    /// <summary>Whether JSON or the name of a tool can begin so.</summary>
    private static bool IsFirst(char letter) => letter is '{' or '_' or '-' || char.IsLetterOrDigit(letter);

    /// <summary>What may be called, and how.</summary>
    public static TemplatedText Offer(IReadOnlyList<ChatTool> tools)
    {
        TemplatedText text = new TemplatedText()
            .Append("Given the following functions, please respond with a JSON for a function call ")
            .Append("with its proper arguments that best answers the given prompt.\n\n")
            .Append("""Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.""")
            .Append("Do not use variables.\n\n");
        foreach (ChatTool tool in tools)
        {
            text.AppendContent(JinjaJson.Write(tool.ToJson(), indent: 4)).Append("\n\n");
        }

        return text;
    }

    /// <summary>An assistant's message that calls; its other content is left out.</summary>
    public static TemplatedText Call(ChatMessage message) => message.ToolCalls is [ChatToolCall call]
        ? new TemplatedText().Append("{\"name\": \"").AppendContent(call.Name)
            .Append("\", \"parameters\": ").AppendContent(JinjaJson.Write(call.Arguments)).Append("}")
        : throw new InvalidDataException("This model only supports single tool-calls at once!");

    /// <summary>What a tool gave. Text is written as JSON, too; what is neither text nor made of parts, as Python prints it.</summary>
    public static string Result(ChatMessage message) => message.Result switch
    {
        null => JinjaJson.Write(message.Content),
        { ValueKind: JsonValueKind.True } => "True",
        { ValueKind: JsonValueKind.False } => "False",
        { ValueKind: JsonValueKind.Null } => "None",
        { } value => JinjaJson.Write(value),
    };

    /// <summary>The first call: the template takes a single one back.</summary>
    private static IReadOnlyList<ChatToolCall>? Read(string answer)
    {
        string text = (answer.StartsWith(PythonMark, StringComparison.Ordinal) ? answer[PythonMark.Length..] : answer).Trim();
        if (!text.StartsWith('{'))
        {
            return ReadPython(text);
        }

        IReadOnlyList<ChatToolCall>? first = null;
        while (text.Length > 0)
        {
            int length = LengthOfObject(text);
            IReadOnlyList<ChatToolCall>? call = ToolCallJson.Read(text[..length], JsonValueKind.Object, "parameters", "arguments");
            if (call is null)
            {
                return null;
            }

            first ??= call;
            text = text[length..].TrimStart(' ', '\n', ';');
        }

        return first;
    }

    /// <summary>How much of a text one JSON value is; all of it where it holds none that is whole.</summary>
    private static int LengthOfObject(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        var reader = new Utf8JsonReader(bytes);
        try
        {
            reader.Read();
            reader.Skip();
            return Encoding.UTF8.GetCharCount(bytes, 0, (int)reader.BytesConsumed);
        }
        catch (JsonException)
        {
            return text.Length;
        }
    }

    /// <summary>As the template writes a call of a tool that Meta names: <c>brave_search.call(query="...")</c>, all values texts.</summary>
    private static IReadOnlyList<ChatToolCall>? ReadPython(string text)
    {
        Match match = PythonCall().Match(text);
        string[] names = [.. match.Groups["key"].Captures.Select(capture => capture.Value)];
        if (!match.Success || names.Distinct().Count() < names.Length)
        {
            return null;
        }

        var arguments = names.Zip(match.Groups["value"].Captures).ToDictionary(pair => pair.First, pair => pair.Second.Value);
        return [new ChatToolCall(null, match.Groups["name"].Value, JsonSerializer.SerializeToElement(arguments))];
    }

    [GeneratedRegex("""^(?<name>[\w-]+)\.call\((?:(?<key>\w+)="(?<value>[^"]*)"(?:, (?=\w)|(?=\))))*\)$""")]
    private static partial Regex PythonCall();
}
