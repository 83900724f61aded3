using System.Text.Json;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Data.Chat;

namespace Microsoft.ML.Sorsa.Tests.Data;

[TestClass]
[TestCategory("Data")]
[TestCategory("Chat")]
public sealed class PromptTemplateTests
{
    [TestMethod]
    public void AlpacaIsThePapersTextToTheLastCharacter() => Assert.AreEqual(
        """
        Below is an instruction that describes a task. Write a response that appropriately completes the request.

        ### Instruction:
        What is 2 + 3?

        ### Response:
        """.ReplaceLineEndings("\n"),
        Apply(PromptTemplate.Alpaca, "What is 2 + 3?"));

    [TestMethod]
    public void AlpacaEqualsTheAuthorsTrainingPrompts()
    {
        foreach (string line in File.ReadLines(TestData.Require(TestData.Golden("graders", "prompts.jsonl"))))
        {
            using JsonDocument row = JsonDocument.Parse(line);
            string Field(string name) => row.RootElement.GetProperty(name).GetString()!;
            if (Field("kind") == "authors_train")
            {
                // The authors write BOS as text; ours comes from the tokenizer, where it puts one.
                Assert.AreEqual(Field("query_text"), Field("bos") + Apply(PromptTemplate.Alpaca, Field("question")));
            }
        }
    }

    [TestMethod]
    [DataRow("{prompt}", "p", "p")]
    [DataRow("Q: {prompt}\nA:", "why?", "Q: why?\nA:")]
    [DataRow("{prompt}|{prompt}", "p", "p|p")]
    [DataRow("a {prompt} b", "{prompt}", "a {prompt} b")]
    [DataRow("{prompt}{prompt}", "{prompt}x", "{prompt}x{prompt}x")]
    [DataRow("{{prompt}}", "p", "{p}")]
    [DataRow("{0} {Prompt} }{ {prompt}", "p", "{0} {Prompt} }{ p")]
    public void AFormatReplacesItsPlacesOnceAndNothingElse(string format, string prompt, string expected) =>
        Assert.AreEqual(expected, Apply(PromptTemplate.Format(format), prompt));

    [TestMethod]
    [DataRow("")]
    [DataRow("Question:")]
    [DataRow("{Prompt} { prompt }")]
    public void AFormatWithoutAPlaceIsRefused(string format)
    {
        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(() => PromptTemplate.Format(format));

        Assert.AreEqual("format", error.ParamName);
        Assert.Contains($"\"{format}\" must contain {{prompt}}", error.Message);
    }

    [TestMethod]
    public void ChatIsOneUserMessageAndTheGenerationPrompt()
    {
        ChatTemplate chat = ChatTemplate.FromText(File.ReadAllText(
            TestData.Require(TestData.Golden("chat", "templates", "mistral-instruct-v0.1.jinja"))));
        ChatTemplate chatML = ChatTemplate.FromText(File.ReadAllText(
            TestData.Require(TestData.Golden("chat", "templates", "chatml.jinja"))));

        Assert.AreEqual("<s>[INST] Hi {prompt} [/INST]", PromptTemplate.Chat.Apply("Hi {prompt}", chat, "<s>", "</s>").Text);
        Assert.AreEqual(
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", PromptTemplate.Chat.Apply("Hi", chatML, null, null).Text);
    }

    [TestMethod]
    public void ChatWithoutAChatTemplateNamesTheRemedy() => Assert.Contains(
        "PromptTemplate.Format", Assert.ThrowsExactly<ArgumentException>(() => Apply(PromptTemplate.Chat, "Hi")).Message);

    [TestMethod]
    public void OnlyChatRendersTheSpecialTokens()
    {
        Assert.IsTrue(PromptTemplate.Chat.RendersSpecialTokens);
        Assert.IsFalse(PromptTemplate.Alpaca.RendersSpecialTokens);
        Assert.IsFalse(PromptTemplate.Format("{prompt}").RendersSpecialTokens);
    }

    [TestMethod]
    public void ATemplateComesBackFromItsOneString()
    {
        PromptTemplate[] templates =
        [
            PromptTemplate.Alpaca, PromptTemplate.Chat, PromptTemplate.Format("chat {prompt}"), PromptTemplate.Format("format:{prompt}"),
            PromptTemplate.Format(" \r\n\t{prompt}\u0000\uD83D\uDE00 \n"),
            PromptTemplate.Chat with { SplitSpecialTokens = false }, PromptTemplate.Format("{prompt}") with { SplitSpecialTokens = true },
        ];
        foreach (PromptTemplate template in templates)
        {
            Assert.AreEqual(template, PromptTemplate.Deserialize(template.Serialize()));
        }

        Assert.HasCount(templates.Length, templates.Select(template => template.Serialize()).Distinct());
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("Chat")]
    [DataRow("format:")]
    [DataRow("format:no place")]
    [DataRow("{prompt}")]
    public void AStringThatIsNoTemplateIsRefused(string text) =>
        Assert.ThrowsExactly<InvalidDataException>(() => PromptTemplate.Deserialize(text));

    private static string Apply(PromptTemplate template, string prompt) => template.Apply(prompt, null, null, null).Text;
}
