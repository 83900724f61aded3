using System.Text.Json;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Data.Chat;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Data.Chat;

[TestClass]
[TestCategory("Chat")]
public sealed class ChatTemplateTests
{
    private static readonly JsonSerializerOptions SnakeCase = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private static string CasesPath => TestData.Golden("chat", "cases.jsonl");

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void RendersAsTransformersDoes(string json)
    {
        TestData.Require(CasesPath);
        Case row = JsonSerializer.Deserialize<Case>(json, SnakeCase)!;
        ChatTemplate template = Template(row.Template);
        Assert.AreEqual(row.Template, template.Name);

        string Render() => template.Render(row.Messages, row.AddGenerationPrompt, row.BosToken, row.EosToken).Text;
        if (row.Error is null)
        {
            Assert.AreEqual(row.Rendered, Render());
        }
        else
        {
            Assert.AreEqual(row.Error, Assert.ThrowsExactly<InvalidDataException>(Render).Message);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Templates))]
    public void TheModelsTokenizerGivesTheIdsOfWhatIsRendered(string name)
    {
        Case[] rows = [.. File.ReadLines(TestData.Require(CasesPath)).Select(line => JsonSerializer.Deserialize<Case>(line, SnakeCase)!)
            .Where(row => row.Template == name && row.Ids is not null)];
        if (rows.Length == 0)
        {
            Assert.Inconclusive($"{CasesPath} has no ids for '{name}': no tokenizer is named for it.");
        }

        TextTokenizer tokenizer = Tokenizer(name);
        foreach (Case row in rows)
        {
            CollectionAssert.AreEqual(row.Ids, tokenizer.Encode(row.Rendered!, addSpecialTokens: false), row.Name);
        }
    }

    /// <summary>Contents are ordinary text: where they hold no special token, nothing changes by saying so.</summary>
    [TestMethod]
    [DynamicData(nameof(Templates))]
    public void ContentsWithoutSpecialTokensHaveTheSameIdsAsOrdinaryText(string name)
    {
        Case[] rows = [.. File.ReadLines(TestData.Require(CasesPath)).Select(line => JsonSerializer.Deserialize<Case>(line, SnakeCase)!)
            .Where(row => row.Template == name && row.Ids is not null)];
        if (rows.Length == 0)
        {
            Assert.Inconclusive($"{CasesPath} has no ids for '{name}': no tokenizer is named for it.");
        }

        TextTokenizer tokenizer = Tokenizer(name);
        int compared = 0;
        foreach (Case row in rows)
        {
            TemplatedText text = Template(name).Render(row.Messages, row.AddGenerationPrompt, row.BosToken, row.EosToken);
            int[] ids = tokenizer.Encode(text.Text, addSpecialTokens: false, text.Contents);
            bool plain = row.Messages.All(message => Specials(tokenizer, message.Content) == 0);
            compared += plain ? 1 : 0;
            if (plain)
            {
                CollectionAssert.AreEqual(row.Ids, ids, row.Name);
            }
            else
            {
                CollectionAssert.AreNotEqual(row.Ids, ids, row.Name);
            }
        }

        Assert.IsGreaterThan(0, compared);

        static int Specials(TextTokenizer tokenizer, string text) =>
            tokenizer.Encode(text, addSpecialTokens: false).Count(tokenizer.IsSpecial);
    }

    [TestMethod]
    [DynamicData(nameof(Templates))]
    public void OneNewlineAtTheEndOfATemplateMakesNoDifference(string name)
    {
        string text = File.ReadAllText(TemplatePath(name)).TrimEnd('\n');

        Assert.AreEqual(name, ChatTemplate.FromText(text).Name);
        Assert.AreEqual(name, ChatTemplate.FromText(text + "\n").Name);
        Assert.ThrowsExactly<NotSupportedException>(() => ChatTemplate.FromText(text + "\n\n"));
        Assert.ThrowsExactly<NotSupportedException>(() => ChatTemplate.FromText(text + " "));
    }

    /// <summary>Texts that do the same: what Jinja makes of them was compared when the golden files were made.</summary>
    [TestMethod]
    [DataRow("chatml-bos-line-breaks", "chatml-bos")]
    [DataRow("qwen3-2025-04", "qwen3")]
    [DataRow("qwen3-instruct-2507", "qwen3")]
    [DataRow("mistral-nemo-instruct-2024-07", "mistral-nemo-instruct")]
    public void ARevisionIsTheSameTemplate(string file, string name) => Assert.AreEqual(
        name, ChatTemplate.FromText(File.ReadAllText(TestData.Golden("chat", "templates", "revisions", file + ".jinja"))).Name);

    [TestMethod]
    public void AnUnknownTemplateIsRefusedWithTheKnownOnesAndTheRemedy()
    {
        string message = Assert.ThrowsExactly<NotSupportedException>(() => ChatTemplate.FromText("{{ messages }}")).Message;

        foreach (string part in (string[])["smollm2-instruct", "llama-3-instruct", "chatml", "PromptTemplate.Format", "{prompt}"])
        {
            Assert.Contains(part, message);
        }
    }

    // Jinja: an undefined value prints as nothing, joined to text with + it is an error.
    [TestMethod]
    [DataRow("mistral-instruct-v0.1", null, "</s>", "[INST] a [/INST]b</s> ")]
    [DataRow("mistral-instruct-v0.3", null, "</s>", "[INST] a[/INST] b</s>")]
    [DataRow("mistral-instruct-v0.1", "<s>", null, null)]
    [DataRow("mistral-instruct-v0.3", "<s>", null, null)]
    [DataRow("llama-2-chat", null, "</s>", null)]
    [DataRow("llama-2-chat", "<s>", null, null)]
    [DataRow("llama-3-instruct", null, "<|eot_id|>", null)]
    [DataRow("tinyllama-chat", "<s>", null, null)]
    [DataRow("chatml", null, null, "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n")]
    public void AnUndefinedTokenIsNothingOrAnErrorAsInJinja(string name, string? bos, string? eos, string? expected)
    {
        ChatTemplate template = Template(name);
        string Render() => template.Render([new("user", "a"), new("assistant", "b")], addGenerationPrompt: false, bos, eos).Text;

        if (expected is not null)
        {
            Assert.AreEqual(expected, Render());
        }
        else
        {
            Assert.Contains("is undefined", Assert.ThrowsExactly<InvalidDataException>(Render).Message);
        }
    }

    [TestMethod]
    public void StrippingRemovesWhatPythonCallsWhiteSpace()
    {
        // Every character for which Python's str.isspace is true, and some for which it is not.
        const string Spaces = "\t\n\v\f\r\u001C\u001D\u001E\u001F \u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007" +
            "\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000";
        const string Kept = "\u200B\u180E a\u3000b \uFEFF\u0000";

        Assert.AreEqual(Kept, JinjaText.Strip(Spaces + Kept + Spaces));
        Assert.AreEqual("", JinjaText.Strip(Spaces));
    }

    private static IEnumerable<TestDataRow<string>> Cases()
    {
        if (!File.Exists(CasesPath))
        {
            return [new TestDataRow<string>("{}")];
        }

        return File.ReadLines(CasesPath).Where(line => line.Length > 0).Select((line, at) =>
        {
            Case row = JsonSerializer.Deserialize<Case>(line, SnakeCase)!;
            string prompted = row.AddGenerationPrompt ? "prompted" : "not prompted";
            return new TestDataRow<string>(line) { DisplayName = $"Chat {at + 1}: {row.Template}, {row.Name}, {prompted}" };
        });
    }

    /// <summary>The templates of both folders; where one folder is absent its row is the pattern, which is skipped.</summary>
    private static IEnumerable<object[]> Templates() =>
        TestData.Rows(TestData.Golden("chat", "templates"), "*.jinja")
            .Concat(TestData.Rows(TestData.Shared("golden", "chat", "templates"), "*.jinja"))
            .Select(row => Path.GetFileNameWithoutExtension((string)row[0]))
            .Distinct()
            .Select(name => new object[] { name });

    /// <summary>The tokenizer that templates.json names for a template.</summary>
    private static TextTokenizer Tokenizer(string template)
    {
        using JsonDocument templates = JsonDocument.Parse(File.ReadAllText(TestData.Golden("chat", "templates.json")));
        string folder = templates.RootElement.GetProperty(template).GetProperty("tokenizer").GetString()!;
        string path = folder == "smollm2" ? TestData.SmolLM2 : TestData.Tokenizers(folder);
        TestData.Require(Path.Combine(path, "tokenizer.json"));
        return TextTokenizer.Load(path);
    }

    /// <summary>By its text; where that is not here, which is so of Meta's, by its name.</summary>
    private static ChatTemplate Template(string name)
    {
        string path = TestData.Golden("chat", "templates", name + ".jinja");
        return File.Exists(path)
            ? ChatTemplate.FromText(File.ReadAllText(path))
            : ChatTemplate.Known.Single(template => template.Name == name);
    }

    /// <summary>Meta's templates are not in the repository: they are read from the shared folder, or the test is skipped.</summary>
    private static string TemplatePath(string name)
    {
        string path = TestData.Golden("chat", "templates", name + ".jinja");
        return File.Exists(path) ? path : TestData.Require(TestData.Shared("golden", "chat", "templates", name + ".jinja"));
    }

    private sealed record Case(
        string Template,
        [property: System.Text.Json.Serialization.JsonPropertyName("case")] string Name,
        IReadOnlyList<ChatMessage> Messages,
        bool AddGenerationPrompt,
        string? BosToken,
        string? EosToken,
        string? Rendered,
        int[]? Ids,
        string? Error);
}
