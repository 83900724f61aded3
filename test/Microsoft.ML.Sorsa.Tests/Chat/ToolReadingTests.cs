using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Chat;
using Microsoft.ML.Sorsa.Data.Chat;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>Calls in what models write, in whatever pieces it comes.</summary>
[TestClass]
[TestCategory("Chat")]
public sealed class ToolReadingTests
{
    private const string Llama = "llama-3.1-instruct", Qwen = "qwen3", Mistral = "mistral-nemo-instruct";

    /// <summary>Template, answer, its text, and its calls as <c>name{arguments}</c>, one after the other.</summary>
    public static IEnumerable<object[]> Answers =>
    [
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
        [Qwen, $"<tool_call>{Tool("b")}", $"<tool_call>{Tool("b")}", ""],
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
        [Llama, "A set {1, 2}.", "A set {1, 2}.", ""],

        [Mistral, """[TOOL_CALLS][{"name": "a", "arguments": {"x": 1}, "id": "abcdefghi"}]""", "", """a{"x": 1}"""],
        [Mistral, """Well.[TOOL_CALLS][{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}}]""", "Well.", "a{} b{}"],
        [Mistral, """[TOOL_CALLS][{"name": "a", "arguments": {}}] x""", """[TOOL_CALLS][{"name": "a", "arguments": {}}] x""", ""],
        [Mistral, "An array [1] and [TOOL", "An array [1] and [TOOL", ""],
    ];

    [TestMethod]
    [DynamicData(nameof(Answers))]
    public void TextAndCallsAreToldApartWhereverThePiecesEnd(string template, string answer, string text, string calls)
    {
        ToolFormat format = ChatTemplate.Known.Single(known => known.Name == template).Tools!;
        List<string[]> splits =
        [
            [answer], [.. answer.Select(c => c.ToString())], [.. answer.Chunk(3).Select(chunk => new string(chunk))],
            .. Enumerable.Range(1, answer.Length - 1).Select(at => new[] { answer[..at], answer[at..] }),
        ];
        foreach (string[] pieces in splits)
        {
            var reader = new AnswerReader(format, several: true);

            string said = string.Concat(pieces.Select(reader.Push));
            (IReadOnlyList<AIContent> rest, bool isCall) = reader.Complete();

            string where = string.Join('|', pieces);
            Assert.AreEqual(text, said + string.Concat(rest.OfType<TextContent>().Select(content => content.Text)), where);
            Assert.AreEqual(calls, string.Join(' ', rest.OfType<FunctionCallContent>().Select(Show)), where);
            Assert.AreEqual(calls.Length > 0, isCall, where);
        }
    }

    /// <summary>Only what may become a call waits, with the white space in front of it.</summary>
    [TestMethod]
    public void TextIsNotHeldBack()
    {
        var reader = new AnswerReader(ChatTemplate.Known.Single(known => known.Name == Qwen).Tools, several: true);

        Assert.AreEqual("It", reader.Push("It"));
        Assert.AreEqual(" is", reader.Push(" is <"));
        Assert.AreEqual(" < 4.", reader.Push(" 4."));
        Assert.AreEqual("", reader.Push("\n"));
        Assert.AreEqual("", reader.Push("<tool"));
        Assert.AreEqual("\n<tools>", reader.Push("s>"));
    }

    [TestMethod]
    public void OnlyTheFirstCallWhereSeveralAreNotAllowed()
    {
        var reader = new AnswerReader(ChatTemplate.Known.Single(known => known.Name == Qwen).Tools, several: false);
        reader.Push($"{Tool("a")}\n{Tool("b")}");

        (IReadOnlyList<AIContent> contents, bool isCall) = reader.Complete();

        Assert.IsTrue(isCall);
        Assert.AreEqual("a{}", Show((FunctionCallContent)contents.Single()));
    }

    private static string Tool(string name, string arguments = "{}") =>
        $"<tool_call>\n{{\"name\": \"{name}\", \"arguments\": {arguments}}}\n</tool_call>";

    private static string Show(FunctionCallContent call) =>
        call.Name + JinjaJson.Write(System.Text.Json.JsonSerializer.SerializeToElement(call.Arguments));
}
