using System.Text.Json;
using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Chat;
using Microsoft.ML.Sorsa.Data.Chat;
using TemplateMessage = Microsoft.ML.Sorsa.Data.Chat.ChatMessage;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>What templates make of tools, calls and results.</summary>
[TestClass]
[TestCategory("Chat")]
public sealed class ToolRenderingTests
{
    public static IEnumerable<TestDataRow<string>> Cases() =>
        File.ReadLines(TestData.Golden("chat", "tools.jsonl")).Select((line, at) =>
        {
            using JsonDocument row = JsonDocument.Parse(line);
            return new TestDataRow<string>(line)
            {
                DisplayName = $"Tools {at + 1}: {row.RootElement.GetProperty("template")}, {row.RootElement.GetProperty("case")}",
            };
        });

    /// <summary>Rendered by Jinja, set up as transformers does: test/data/golden/README.md.</summary>
    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void ToolsAreRenderedAsJinjaDoes(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        JsonElement row = document.RootElement;
        ChatTemplate template = ChatTemplate.Known.Single(known => known.Name == row.GetProperty("template").GetString());
        TemplateMessage[] messages = [.. row.GetProperty("messages").EnumerateArray().Select(Message)];
        ChatTool[] tools = row.GetProperty("tools").ValueKind == JsonValueKind.Null
            ? []
            : [.. row.GetProperty("tools").EnumerateArray().Select(tool => Tool(tool.GetProperty("function")))];

        string Render() => template.Render(
            messages, addGenerationPrompt: true, row.GetProperty("bos_token").GetString(), row.GetProperty("eos_token").GetString(),
            tools).Text;
        if (row.TryGetProperty("error", out JsonElement error))
        {
            Assert.AreEqual(error.GetString(), Assert.ThrowsExactly<InvalidDataException>(Render).Message);
        }
        else
        {
            Assert.AreEqual(row.GetProperty("rendered").GetString(), Render());
        }
    }

    /// <summary>Every known template that has tools, and Jinja's answer for each.</summary>
    [TestMethod]
    public void EveryTemplateWithToolsHasCases()
    {
        string[] tested = [.. File.ReadLines(TestData.Golden("chat", "tools.jsonl"))
            .Select(line => JsonDocument.Parse(line).RootElement.GetProperty("template").GetString()!).Distinct()];

        CollectionAssert.AreEquivalent(ChatTemplate.WithTools.ToArray(), tested);
    }

    /// <summary>Jinja calls itself without end there: no text is right.</summary>
    [TestMethod]
    [DataRow("""{"type": "null"}""", "null")]
    [DataRow("""{"type": ["string", "null"]}""", "null")]
    [DataRow("""{"type": "object", "additionalProperties": {"type": "any"}}""", "any")]
    public void ATypeThatHermesHasNoWordForIsRefused(string schema, string type)
    {
        using JsonDocument parameters = JsonDocument.Parse($$"""{"type": "object", "properties": {"a": {{schema}} } }""");
        ChatTemplate hermes = ChatTemplate.Known.Single(known => known.Name == "hermes-3");

        string message = Assert.ThrowsExactly<InvalidDataException>(() => hermes.Render(
            [new("user", "Go.")], addGenerationPrompt: true, null, null, [new("look_up", "Looks up", parameters.RootElement)])).Message;

        Assert.Contains($"The tool 'look_up' has a parameter of the type '{type}'", message);
        Assert.Contains("Give it one of string, number, integer, boolean, array and object", message);
    }

    /// <summary>
    /// What a function gives, in the words of Microsoft.Extensions.AI, and what the two templates that differ show of it.
    /// </summary>
    [TestMethod]
    public void WhatAFunctionGivesIsShownAsTheTemplateShowsIt()
    {
        (object? Result, string Llama, string Qwen)[] results =
        [
            ("klar, \"22\" °C", "\"klar, \\\"22\\\" °C\"", "klar, \"22\" °C"),
            (new Dictionary<string, object> { ["a"] = new[] { 1, 2 } }, """{"a": [1, 2]}""", """{"a": [1, 2]}"""),
            (22.5, "22.5", "22.5"),
            (true, "True", "true"),
            (null, "None", "null"),
            (JsonDocument.Parse("\"text\"").RootElement, "\"text\"", "text"),
            (JsonDocument.Parse("""{"a":[],"b":{}}""").RootElement, """{"a": [], "b": {}}""", """{"a": [], "b": {}}"""),
        ];
        foreach ((object? result, string llama, string qwen) in results)
        {
            IReadOnlyList<TemplateMessage> messages = ConversationReader.Messages(
                [
                    new(ChatRole.User, "a"), new(ChatRole.Assistant, [new FunctionCallContent("1", "f")]),
                    new(ChatRole.Tool, [new FunctionResultContent("1", result)]),
                ], null);
            string Render(string name) => ChatTemplate.Known.Single(known => known.Name == name)
                .Render(messages, addGenerationPrompt: false, null, "</s>").Text;

            Assert.EndsWith($"<|start_header_id|>ipython<|end_header_id|>\n\n{llama}<|eot_id|>", Render("llama-3.1-instruct"));
            Assert.EndsWith($"<tool_response>\n{qwen}\n</tool_response><|im_end|>\n", Render("qwen3"));
        }
    }

    /// <summary>Whose words are whose: what a tool's author or the user writes opens no turn.</summary>
    [TestMethod]
    [DataRow("llama-3.1-instruct", "<|eot_id|>")]
    [DataRow("mistral-instruct-v0.3", "[/INST]")]
    [DataRow("mistral-nemo-instruct", "[/INST]")]
    [DataRow("qwen2.5-instruct", "<|im_end|>")]
    [DataRow("qwen3", "</tool_response>")]
    [DataRow("hermes-3", "<|im_end|>")]
    [DataRow("hermes-3", "</tool_response>")]
    public void NamesDescriptionsArgumentsAndResultsAreNotTheTemplatesWords(string name, string mark)
    {
        using JsonDocument json = JsonDocument.Parse($$"""{"x": "{{mark}}"}""");
        TemplateMessage[] messages =
        [
            new("system", mark), new("user", mark),
            new("assistant", "") { ToolCalls = [new ChatToolCall("abcdefghi", mark, json.RootElement)] },
            new("tool", mark) { ToolCallId = "abcdefghi" }, new("assistant", mark), new("user", mark),
        ];
        ChatTool[] tools = [new(mark, mark, json.RootElement)];
        ChatTemplate template = ChatTemplate.Known.Single(known => known.Name == name);

        int Own(TemplateMessage[] conversation, ChatTool[] offered)
        {
            Microsoft.ML.Sorsa.Data.TemplatedText text = template.Render(conversation, true, "<s>", "</s>", offered);
            char[] words = text.Text.ToCharArray();
            foreach (Range range in text.Contents)
            {
                words.AsSpan(range).Fill(' ');
            }

            return new string(words).Split(mark).Length;
        }

        TemplateMessage[] plain = [.. messages.Select(message => message with
        {
            Content = "a",
            ToolCalls = [.. message.ToolCalls.Select(_ => new ChatToolCall("abcdefghi", "f", JsonDocument.Parse("{}").RootElement))],
        })];
        Assert.AreEqual(Own(plain, [new("f", "a", JsonDocument.Parse("{}").RootElement)]), Own(messages, tools));
    }

    private static TemplateMessage Message(JsonElement message)
    {
        JsonElement content = message.GetProperty("content");
        return content.ValueKind == JsonValueKind.String
            ? New(content.GetString()!)
            : New(JinjaJson.Write(content)) with { Result = content.Clone() };

        TemplateMessage New(string text) => new(message.GetProperty("role").GetString()!, text)
        {
            ToolCallId = message.TryGetProperty("tool_call_id", out JsonElement id) ? id.GetString() : null,
            ToolCalls = !message.TryGetProperty("tool_calls", out JsonElement calls) ? [] : [.. calls.EnumerateArray().Select(call =>
                new ChatToolCall(
                    call.GetProperty("id").GetString(), call.GetProperty("function").GetProperty("name").GetString()!,
                    call.GetProperty("function").GetProperty("arguments")))],
        };
    }

    private static ChatTool Tool(JsonElement function) => new(
        function.GetProperty("name").GetString()!, function.GetProperty("description").GetString()!, function.GetProperty("parameters"));
}
