using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Chat;
using Microsoft.ML.Sorsa.Data.Chat;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>Calls in what models write, in whatever pieces it comes.</summary>
[TestClass]
[TestCategory("Chat")]
public sealed class ToolReadingTests
{
    private const string Llama = "llama-3.1-instruct", Mistral = "mistral-nemo-instruct";
    private const string Qwen = "qwen3", Qwen25 = "qwen2.5-instruct", Thinking = "qwen3-thinking-2507", Hermes = "hermes-3";

    /// <summary>Template, answer, its text, and its calls as <c>name{arguments}</c>, one after the other.</summary>
    public static IEnumerable<object[]> Answers =>
    [
        [Hermes, Tool("a"), "", "a{}"],
        [Hermes, $"I look.\n{Tool("a")}\n{Tool("b")}", "I look.", "a{} b{}"],
        [Hermes, $"<think>{Tool("a")}</think>", "<think></think>", "a{}"],
        [Qwen, Tool("a"), "", "a{}"],
        [Qwen, Tool("a", """{"x": "<b> \"ü\" \u20ac", "y": [1, {"z": null}]}"""), "", """a{"x": "<b> \"ü\" €", "y": [1, {"z": null}]}"""],
        [Qwen, $"{Tool("a")}\n{Tool("b")}", "", "a{} b{}"],
        [Qwen, $"{Tool("a")}{Tool("b")}{Tool("c")}", "", "a{} b{} c{}"],
        [Qwen, $"\n\n{Tool("a")}\n", "", "a{}"],
        [Qwen, $"I look.\n{Tool("a")}", "I look.", "a{}"],
        [Qwen, $"<think>\nWhere?\n</think>\n\n{Tool("a")}", "<think>\nWhere?\n</think>\n", "a{}"],
        [Qwen, $"{Tool("a")}\nand\n{Tool("b")}\nDone.", "\nand\nDone.", "a{} b{}"],
        [Qwen, """<tool_call>{"name": "a", "arguments": {}}""", "", "a{}"],
        [Qwen, """<tool_call>{"arguments": {"q": "</tool_call>"}, "name": "a"}</tool_call>!""", "!", """a{"q": "</tool_call>"}"""],
        [Qwen, "<tool_call>\n{\"name\": \"a\", \"argum", "<tool_call>\n{\"name\": \"a\", \"argum", ""],
        [Qwen, $"<tool_call>\n{{'name': 'a'}}\n</tool_call>\n{Tool("b")}", "<tool_call>\n{'name': 'a'}\n</tool_call>", "b{}"],
        [Qwen, $"<tool_call>\n{{\"name\": \"a\"\n</tool_call>\n{Tool("b")}", "<tool_call>\n{\"name\": \"a\"\n</tool_call>", "b{}"],
        [Qwen, $"<tool_call></tool_call>{Tool("b")}", "<tool_call></tool_call>", "b{}"],
        [Qwen, $"<tool_call>{Tool("b")}", "<tool_call>", "b{}"],
        [Qwen, $"I use <tool_call> for it.\n{Tool("b")}", "I use <tool_call> for it.", "b{}"],
        [Qwen, $"I use <tool_call>\n for it.\n\n{Tool("b")}", "I use <tool_call>\n for it.\n", "b{}"],
        [Qwen, $"`<tool_call>{{...}}`: {Tool("b")}", "`<tool_call>{...}`: ", "b{}"],
        [Qwen, $"<tool_call>{{\"name\": \"a\n{Tool("b")}\n{Tool("c")}", "<tool_call>{\"name\": \"a", "b{} c{}"],
        [Qwen, """So: <tool_call>{"x": <tool_call>{"name": "b", "arguments": {}}""", """So: <tool_call>{"x": """, "b{}"],
        [Qwen, "So:\n\n<tool_call>{\"x\": 1}</tool_call>\n", "So:\n\n<tool_call>{\"x\": 1}</tool_call>\n", ""],
        [Qwen, "\n <tool_call> {\"x", "\n <tool_call> {\"x", ""],
        [Qwen, "<tool_call>", "<tool_call>", ""],
        [Qwen, "<tool_call> \n", "<tool_call> \n", ""],
        [Qwen, $"<think>I use <tool_call> for it.</think>\n{Tool("b")}", "<think>I use <tool_call> for it.</think>", "b{}"],
        [Qwen, $"\n<think>{Tool("a")}</think>\n\n{Tool("b")}", $"\n<think>{Tool("a")}</think>\n", "b{}"],
        [Qwen, $"<think>\n{Tool("a")}\n", $"<think>\n{Tool("a")}\n", ""],
        [Qwen, $"<think>{Tool("a")}</think", $"<think>{Tool("a")}</think", ""],
        [Qwen, $"<thin{Tool("a")}", "<thin", "a{}"],
        [Qwen, $"To <think> is to call.\n{Tool("a")}", "To <think> is to call.", "a{}"],
        [Qwen25, $"<think>{Tool("a")}</think>", "<think></think>", "a{}"],
        [Thinking, $"{Tool("a")}\n</think>\n\n{Tool("b")}", $"{Tool("a")}\n</think>\n", "b{}"],
        [Thinking, $"<think>\n{Tool("a")}</think>{Tool("b")}", $"<think>\n{Tool("a")}</think>", "b{}"],
        [Thinking, Tool("a"), Tool("a"), ""],
        [Qwen, """<tool_call>[{"name": "a", "arguments": {}}]""", """<tool_call>[{"name": "a", "arguments": {}}]""", ""],
        [Qwen, Tool("a", "[1]"), Tool("a", "[1]"), ""],
        [Qwen, Tool("a", """{"x": 1, "x": 2}"""), Tool("a", """{"x": 1, "x": 2}"""), ""],
        [Qwen, Tool("a", """{"x": "\ud800"}"""), Tool("a", """{"x": "\ud800"}"""), ""],
        [Qwen, "a < b <tool", "a < b <tool", ""],
        [Qwen, "  two \n\n lines  \n", "  two \n\n lines  \n", ""],
        [Qwen, """{"name": "a", "arguments": {}}""", """{"name": "a", "arguments": {}}""", ""],

        [Llama, """{"name": "a", "parameters": {"x": "1"}}""", "", """a{"x": "1"}"""],
        [Llama, " \n{\"name\": \"a\", \"parameters\": {}}\n", "", "a{}"],
        [Llama, """{"type": "function", "name": "a", "parameters": {}}""", "", "a{}"],
        [Llama, """{"name": "a", "arguments": {}}""", "", "a{}"],
        [Llama, """<|python_tag|>{"name": "a", "parameters": {}}""", "", "a{}"],
        [Llama, """I look.<|python_tag|>{"name": "a", "parameters": {}}""", "I look.", "a{}"],
        [Llama, """<|python_tag|>search.call(query="a (b), c", top_k="3")""", "", """search{"query": "a (b), c", "top_k": "3"}"""],
        [Llama, "<|python_tag|>clock.call()", "", "clock{}"],
        [Llama, """<|python_tag|>a.call(x="1", x="2")""", """<|python_tag|>a.call(x="1", x="2")""", ""],
        [Llama, """<|python_tag|>a.call(x="1" y="2")""", """<|python_tag|>a.call(x="1" y="2")""", ""],
        [Llama, "<|python_tag|>print(1)", "<|python_tag|>print(1)", ""],
        [Llama, """{"name": "a", "parameters": {}}; {"name": "b", "parameters": {}}""", "", "a{}"],
        [Llama, """{"name": "a", "parameters": {}}; {"name": "b", "para""", """{"name": "a", "parameters": {}}; {"name": "b", "para""", ""],
        [Llama, """{"name": "a", "parameters": {}} is the call.""", """{"name": "a", "parameters": {}} is the call.""", ""],
        [Llama, """The call: {"name": "a", "parameters": {}}""", """The call: {"name": "a", "parameters": {}}""", ""],
        [Llama, """{"city": "Zürich"}""", """{"city": "Zürich"}""", ""],
        [Llama, """{"name": "a", "parameters": "x"}""", """{"name": "a", "parameters": "x"}""", ""],
        [Llama, """{"name": "", "parameters": {}}""", """{"name": "", "parameters": {}}""", ""],
        [Llama, "{", "{", ""],
        [Llama, """<|python_tag|> is a mark.<|python_tag|>{"name": "a", "parameters": {}}""", "<|python_tag|> is a mark.", "a{}"],
        [Llama, """{"x": 1}<|python_tag|>{"name": "a", "parameters": {}}""", """{"x": 1}""", "a{}"],
        [Llama, "<|python_tag|>", "<|python_tag|>", ""],
        [Llama, "A set {1, 2}.", "A set {1, 2}.", ""],

        [Mistral, """[TOOL_CALLS][{"name": "a", "arguments": {"x": 1}, "id": "abcdefghi"}]""", "", """a{"x": 1}"""],
        [Mistral, """Well.[TOOL_CALLS][{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}}]""", "Well.", "a{} b{}"],
        [Mistral, """[TOOL_CALLS][{"name": "a", "arguments": {}}] x""", """[TOOL_CALLS][{"name": "a", "arguments": {}}] x""", ""],
        [Mistral, """[TOOL_CALLS] is a mark. [TOOL_CALLS][{"name": "a", "arguments": {}}]""", "[TOOL_CALLS] is a mark. ", "a{}"],
        [Mistral, """[TOOL_CALLS] [x] [TOOL_CALLS] [{"name": "a", "arguments": {}}]""", "[TOOL_CALLS] [x] ", "a{}"],
        [Mistral, """[TOOL_CALLS][{"name": "a", "arguments": {"x": "[TOOL_CALLS]["}}]""", "", """a{"x": "[TOOL_CALLS]["}"""],
        [Mistral, "An array [1] and [TOOL", "An array [1] and [TOOL", ""],
    ];

    [TestMethod]
    [DynamicData(nameof(Answers))]
    public void TextAndCallsAreToldApartWhereverThePiecesEnd(string template, string answer, string text, string calls)
    {
        List<string[]> splits =
        [
            [answer], [.. answer.Select(c => c.ToString())], [.. answer.Chunk(3).Select(chunk => new string(chunk))],
            .. Enumerable.Range(1, answer.Length - 1).Select(at => new[] { answer[..at], answer[at..] }),
        ];
        foreach (string[] pieces in splits)
        {
            AnswerReader reader = Reader(template);

            AIContent[] contents = [.. pieces.SelectMany(reader.Push), .. reader.Complete()];

            string where = string.Join('|', pieces);
            Assert.AreEqual(text, Text(contents), where);
            Assert.AreEqual(calls, string.Join(' ', contents.OfType<FunctionCallContent>().Select(Show)), where);
            Assert.AreEqual(calls.Length > 0, reader.HasCall, where);
        }
    }

    /// <summary>Only what may become a call waits, with the white space in front of it.</summary>
    [TestMethod]
    public void TextIsNotHeldBack()
    {
        AnswerReader reader = Reader(Qwen);

        Assert.AreEqual("It", Text(reader.Push("It")));
        Assert.AreEqual(" is", Text(reader.Push(" is <")));
        Assert.AreEqual(" < 4.", Text(reader.Push(" 4.")));
        Assert.AreEqual("", Text(reader.Push("\n")));
        Assert.AreEqual("", Text(reader.Push("<tool")));
        Assert.AreEqual("\n<tools>", Text(reader.Push("s>")));
        Assert.AreEqual("", Text(reader.Push(" <tool_call>")));
        Assert.AreEqual(" <tool_call> is", Text(reader.Push(" is")));
        Assert.AreEqual("", Text(reader.Push("<tool_call>{'a'")));
        Assert.AreEqual("<tool_call>{'a'</tool_call> it", Text(reader.Push("</tool_call> it")));
    }

    [TestMethod]
    public void ThoughtsAreNotHeldBack()
    {
        AnswerReader reader = Reader(Qwen);

        Assert.AreEqual("", Text(reader.Push("<thi")));
        Assert.AreEqual("<think>\n", Text(reader.Push("nk>\n")));
        Assert.AreEqual("<tool_call>\n{", Text(reader.Push("<tool_call>\n{")));
        Assert.AreEqual("", Text(reader.Push("</thi")));
        Assert.AreEqual("</think>", Text(reader.Push("nk>\n<too")));
        Assert.AreEqual("\n<too b", Text(reader.Push(" b")));
    }

    /// <summary>Text in front of a call, between two and behind them stays where the model wrote it; a call comes when it ends.</summary>
    [TestMethod]
    public void TextAndCallsComeInTheirOrder()
    {
        string answer = $"One.\n{Tool("a")}\nTwo.\n{Tool("b")}\n<tool_call>\n{{\"name\": \"c";
        foreach (int at in Enumerable.Range(1, answer.Length - 1))
        {
            AnswerReader reader = Reader(Qwen);

            AIContent[] contents = [.. reader.Push(answer[..at]), .. reader.Push(answer[at..]), .. reader.Complete()];

            Assert.AreEqual("One.[a{}]\nTwo.[b{}]\n<tool_call>\n{\"name\": \"c", string.Concat(contents.Select(content =>
                content is FunctionCallContent call ? $"[{Show(call)}]" : ((TextContent)content).Text)), answer[..at]);
        }

        AnswerReader streamed = Reader(Qwen);
        Assert.AreEqual("a{}", Show((FunctionCallContent)streamed.Push(Tool("a")).Single()));
    }

    /// <summary>No template has both today.</summary>
    [TestMethod]
    [DataRow("""{"q": "</c>"}</c>!""", "!", """a{"q": "</c>"}""")]
    [DataRow("""{'q'</c>!""", """{'q'</c>!""", "")]
    [DataRow("""{'q'</c><c>{}</c>""", """{'q'</c>""", "a{}")]
    public void AFormatMayHaveBothBeginningsAndAClosing(string answer, string text, string calls)
    {
        var format = new ToolFormat(["<c>"], letter => letter == '{', Call) { Beginnings = ["{"], Closing = "</c>" };
        for (int at = 1; at < answer.Length; at++)
        {
            var reader = new AnswerReader(format, several: true, new CallIds([], []));

            AIContent[] contents = [.. reader.Push(answer[..at]), .. reader.Push(answer[at..]), .. reader.Complete()];

            Assert.AreEqual(text, Text(contents), answer[..at]);
            Assert.AreEqual(calls, string.Concat(contents.OfType<FunctionCallContent>().Select(Show)), answer[..at]);
        }

        static IReadOnlyList<ChatToolCall>? Call(string call) => ToolCallJson.Read(
            $$"""{"name": "a", "arguments": {{call.Replace("<c>", "", StringComparison.Ordinal)}}}""",
            System.Text.Json.JsonValueKind.Object, "arguments");
    }

    [TestMethod]
    public void OnlyTheFirstCallWhereSeveralAreNotAllowed()
    {
        AnswerReader reader = Reader(Qwen, several: false);

        AIContent[] contents = [.. reader.Push($"{Tool("a")}\n{Tool("b")}"), .. reader.Complete()];

        Assert.IsTrue(reader.HasCall);
        Assert.AreEqual("a{}", Show((FunctionCallContent)contents.Single()));
    }

    /// <summary>The same prompt and calls have the same ids; no id stands twice in a conversation.</summary>
    [TestMethod]
    public void IdsFollowFromPromptAndCall()
    {
        string[] first = Ids([1, 2], []);
        string[] taken = Ids([1, 2], first);

        CollectionAssert.AreEqual(first, Ids([1, 2], []));
        CollectionAssert.AreNotEqual(first, Ids([1, 3], []));
        Assert.HasCount(6, first.Concat(taken).Distinct());
        Assert.IsTrue(first.All(id => id.Length == 9 && id.All(char.IsAsciiLetterOrDigit)));
        Assert.AreEqual("abcdefghi", Ids([1], [], "abcdefghi")[0]);
        Assert.DoesNotContain("abcdefghi", Ids([1], ["abcdefghi"], "abcdefghi"));

        static string[] Ids(int[] prompt, string[] taken, string? own = null)
        {
            ChatToolCall[] calls = [.. "aab".Select(name =>
                new ChatToolCall(own, $"{name}", System.Text.Json.JsonSerializer.SerializeToElement(new { x = 1 })))];
            var ids = new CallIds(prompt, taken);
            return [.. calls.Select(ids.Next)];
        }
    }

    private static AnswerReader Reader(string template, bool several = true) => new(
        ChatTemplate.Known.Single(known => known.Name == template).Tools, several, new CallIds([1, 2], []));

    private static string Text(IEnumerable<AIContent> contents) =>
        string.Concat(contents.OfType<TextContent>().Select(content => content.Text));

    private static string Tool(string name, string arguments = "{}") =>
        $"<tool_call>\n{{\"name\": \"{name}\", \"arguments\": {arguments}}}\n</tool_call>";

    private static string Show(FunctionCallContent call) =>
        call.Name + JinjaJson.Write(System.Text.Json.JsonSerializer.SerializeToElement(call.Arguments));
}
