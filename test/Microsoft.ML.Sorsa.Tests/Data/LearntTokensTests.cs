using System.Text;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tests.Tokenization;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Data;

/// <summary>Which tokens of a row become labels, by TrainedTokens and EndToken.</summary>
[TestClass]
[TestCategory("Data")]
[TestCategory("Chat")]
public sealed class LearntTokensTests
{
    private const string Prompt = "A toy costs 10 dollars.", Response = "Dan pays 8 * 10 = 80 dollars.";

    private static readonly TextTokenizer s_tokenizer = TextTokenizer.Load(TestData.TinyLlama);
    private static readonly int s_eos = s_tokenizer.EosTokenId!.Value;
    private static readonly string s_end = s_tokenizer.EosToken!;
    private static readonly TextTokenizer s_chat = TextTokenizer.Load(EditedTokenizer.Replace(
        TokenizerFiles.FromFolder(TestData.Case("05-chat-turn-end-does-not-stop", "chatml-eos-s")), TokenizerFiles.ChatTemplate,
        File.ReadAllBytes(TestData.Require(TestData.Golden("chat", "templates", "chatml.jinja")))));

    [TestMethod]
    [DataRow(EndToken.Always, true)]
    [DataRow(EndToken.WherePadded, true)]
    [DataRow(EndToken.Never, false)]
    public void TheWholeTextIsTokenisedAsOneAndAllOfItIsLearnt(EndToken end, bool ends)
    {
        int[] whole = s_tokenizer.Encode("Q: " + Prompt + "\nA:" + Response, addSpecialTokens: true);

        SupervisedExample example = Encode(TrainedTokens.All, end, 100, 100, (Prompt, Response)).Examples.Single();

        CollectionAssert.AreEqual(ends ? [.. whole, s_eos] : whole, example.Ids);
        Assert.AreEqual(s_tokenizer.BosTokenId, example.Ids[0]);
        Assert.AreEqual((0, example.Ids.Length - 1), (example.PromptLength, example.LabelCount));
        Assert.AreEqual(whole.Length + (end == EndToken.Always ? 1 : 0), example.Length);
    }

    [TestMethod]
    [DataRow(TrainedTokens.All)]
    [DataRow(TrainedTokens.Response)]
    public void TheEndTokenIsCutFirstAndAResponseThatWasCutHasNone(TrainedTokens tokens)
    {
        (string, string) row = (Prompt, Response);
        SupervisedExample uncut = Encode(tokens, EndToken.WherePadded, 100, 100, row).Examples.Single();
        int prompt = Encode(TrainedTokens.Response, EndToken.Always, 100, 100, row).Examples.Single().PromptLength;
        int own = uncut.Length;
        foreach (int length in new[] { own + 2, own + 1, own, own - 1, own - 5 })
        {
            EncodedExamples encoded = Encode(tokens, EndToken.WherePadded, prompt, length - prompt, row);
            SupervisedExample example = encoded.Examples.Single();

            CollectionAssert.AreEqual(uncut.Ids.Take(length).ToArray(), example.Ids);
            Assert.AreEqual(length > own, example.EndsIfPadded, $"{length} of {own}");
            CutTexts cut = tokens == TrainedTokens.All ? encoded.Texts : encoded.Responses;
            Assert.AreEqual((length > own ? 0 : 1, own + 1 - (tokens == TrainedTokens.All ? 0 : prompt)), (cut.Count, cut.Longest));
            Assert.AreEqual(0, encoded.Prompts.Count);
        }
    }

    /// <summary>A prompt that is longer than both together is still a text to learn, up to there.</summary>
    [TestMethod]
    public void ALongPromptIsCutLikeTheRestOfTheText()
    {
        string prompt = string.Concat(Enumerable.Repeat(Prompt, 20));

        SupervisedExample example = Encode(TrainedTokens.All, EndToken.Always, 20, 10, (prompt, Response)).Examples.Single();

        CollectionAssert.AreEqual(s_tokenizer.Encode("Q: " + prompt, addSpecialTokens: true)[..30], example.Ids);
        Assert.HasCount(1, Encode(TrainedTokens.All, EndToken.Always, int.MaxValue, int.MaxValue, (prompt, Response)).Examples);
    }

    [TestMethod]
    [DataRow(TrainedTokens.All)]
    [DataRow(TrainedTokens.Response)]
    public void AnEndThatAResponseBringsIsItsEnd(TrainedTokens tokens)
    {
        int[] Ids(EndToken end, string behind)
        {
            SupervisedExample example = Encode(tokens, end, 100, 100, (Prompt, Response + behind)).Examples.Single();
            return example.Ids[..example.Length];
        }

        CollectionAssert.AreEqual(Ids(EndToken.Always, ""), Ids(EndToken.Always, s_end + " \n"));
        CollectionAssert.AreEqual(Ids(EndToken.WherePadded, ""), Ids(EndToken.WherePadded, s_end + " \n"));
        CollectionAssert.AreEqual(Ids(EndToken.Always, ""), Ids(EndToken.Never, s_end));
        CollectionAssert.AreEqual(Ids(EndToken.WherePadded, ""), Ids(EndToken.Never, ""));
        Assert.IsGreaterThan(Ids(EndToken.Never, s_end).Length, Ids(EndToken.Never, s_end + " \n").Length, "it is a token like any other");
    }

    /// <summary>A row of which nothing would be learnt is left out, as one whose response is empty.</summary>
    [TestMethod]
    public void AResponseThatIsOnlyAnEndHasNothingToLearn()
    {
        (string, string)[] rows = [(Prompt, s_end), (Prompt, Response)];

        Assert.AreEqual(0, Encode(TrainedTokens.Response, EndToken.Always, 100, 100, rows).Dropped);
        Assert.AreEqual(0, Encode(TrainedTokens.Response, EndToken.Never, 100, 100, rows).Dropped);
        Assert.AreEqual(1, Encode(TrainedTokens.Response, EndToken.WherePadded, 100, 100, rows).Dropped);
        Assert.AreEqual(0, Encode(TrainedTokens.All, EndToken.WherePadded, 100, 100, rows).Dropped);
    }

    [TestMethod]
    public void AWholeTextThatDoesNotFitTheModelIsNamed()
    {
        int length = Encode(TrainedTokens.All, EndToken.Always, 100, 100, (Prompt, Response)).Examples.Single().Ids.Length;

        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(
            () => Encode(TrainedTokens.All, EndToken.Always, 100, 100, length - 1, (Prompt, Response)));

        Assert.AreEqual("rows", error.ParamName);
        Assert.Contains($"row 1 has {length} tokens of prompt and response, and the model has {length - 1} positions", error.Message);
        Assert.Contains("MaxPromptLength (now 100) and MaxResponseLength (now 100)", error.Message);
    }

    /// <summary>The chat template's text, then the response: what the tokenizer makes of both together.</summary>
    [TestMethod]
    public void AChatIsOneTextThatEndsAsItsTurnsDo()
    {
        SupervisedExample example = Encode(
            s_chat, PromptTemplate.Chat, TrainedTokens.All, EndToken.Always, 500, (Prompt, Response)).Examples.Single();

        int[] text = s_chat.Encode($"<|im_start|>user\n{Prompt}<|im_end|>\n<|im_start|>assistant\n{Response}", addSpecialTokens: false);
        CollectionAssert.AreEqual((int[])[.. text, s_chat.Find("<|im_end|>")!.Value], example.Ids);
    }

    /// <summary>A special token that a prompt writes out stays text there, and is found in the response, as in any.</summary>
    [TestMethod]
    public void SpecialTokensAreSplitInThePromptAlone()
    {
        const string Mark = "<|im_start|>";
        int start = s_chat.Find(Mark)!.Value;
        int Starts(PromptTemplate template, string prompt, string response) =>
            Encode(s_chat, template, TrainedTokens.All, EndToken.Always, 500, (prompt, response)).Examples.Single().Ids
                .Count(id => id == start);

        Assert.AreEqual(2, Starts(PromptTemplate.Chat, Mark, "ok"));
        Assert.AreEqual(3, Starts(PromptTemplate.Chat, Mark, $"ok {Mark}"));
        Assert.AreEqual(3, Starts(PromptTemplate.Chat with { SplitSpecialTokens = false }, Mark, "ok"));
        PromptTemplate split = PromptTemplate.Format("{prompt}") with { SplitSpecialTokens = true };
        Assert.AreEqual(0, Starts(split, "a<|im_", "start|> b"), "a token that only the border makes is none");
        Assert.AreEqual(1, Starts(PromptTemplate.Format("{prompt}"), "a<|im_", "start|> b"));
    }

    /// <summary>
    /// What the response writes does not turn an added word of the prompt into a mark: the prompt's ids are those of prediction.
    /// </summary>
    [TestMethod]
    public void AResponseMarksNothing()
    {
        string json = Encoding.UTF8.GetString(s_chat.Files.Find(TokenizerFiles.TokenizerJson)!).Replace("""
               "content": "<|im_start|>",
               "single_word": false,
               "lstrip": false,
               "rstrip": false,
               "normalized": false,
               "special": true
            """, """
               "content": "<|im_start|>",
               "single_word": false,
               "lstrip": false,
               "rstrip": false,
               "normalized": false,
               "special": true
              },
              {
               "id": 60,
               "content": "hihi",
               "special": false
            """, StringComparison.Ordinal);
        TextTokenizer chat = TextTokenizer.Load(
            EditedTokenizer.Replace(s_chat.Files, TokenizerFiles.TokenizerJson, Encoding.UTF8.GetBytes(json)));
        int[] prompt = new PromptEncoder(chat, PromptTemplate.Chat).Encode("hihi");
        Assert.Contains(60, prompt);

        int[] ids = Encode(chat, PromptTemplate.Chat, TrainedTokens.All, EndToken.Always, 500, ("hihi", "hihi")).Examples.Single().Ids;

        Assert.AreEqual(2, ids.Count(id => id == 60));
    }

    /// <summary>Rows shorter than the longest keep their end, the longest do not, and a row without an end counts as it is.</summary>
    [TestMethod]
    [DataRow(new[] { 5, 3, 5, 4 }, -1, new[] { 5, 4, 5, 5 })]
    [DataRow(new[] { 3, 3, 3 }, -1, new[] { 3, 3, 3 })]
    [DataRow(new[] { 7 }, -1, new[] { 7 })]
    [DataRow(new[] { 6, 5, 4 }, 0, new[] { 6, 6, 5 })]
    [DataRow(new[] { 6, 5, 4 }, 2, new[] { 6, 6, 4 })]
    [DataRow(new[] { 5, 5, 4 }, 0, new[] { 5, 5, 5 })]
    public void ABatchLeavesTheEndWhereItIsPadding(int[] lengths, int cut, int[] expected)
    {
        SupervisedExample[] rows = [.. lengths.Select((length, row) => row == cut
            ? new SupervisedExample(new int[length], 1)
            : new SupervisedExample([.. new int[length], s_eos], 1) { EndsIfPadded = true })];

        IReadOnlyList<SupervisedExample> batch = BatchPlan.Collate(rows);

        CollectionAssert.AreEqual(expected, batch.Select(row => row.Ids.Length).ToArray());
        Assert.AreEqual(expected.Sum() - expected.Length, batch.Sum(row => row.LabelCount));
        Assert.IsTrue(batch.Zip(lengths).All(pair => pair.First.Ids.Length == pair.Second || pair.First.Ids[^1] == s_eos));
    }

    private static EncodedExamples Encode(
        TrainedTokens tokens, EndToken end, int maxPrompt, int maxResponse, params (string, string)[] rows) =>
        Encode(tokens, end, maxPrompt, maxResponse, 10_000, rows);

    private static EncodedExamples Encode(
        TrainedTokens tokens, EndToken end, int maxPrompt, int maxResponse, int positions, params (string, string)[] rows) =>
        new ExampleEncoder(
            new PromptEncoder(s_tokenizer, PromptTemplate.Format("Q: {prompt}\nA:"), maxPrompt), s_eos, maxResponse, positions, tokens, end)
            .Encode(rows, "rows", CancellationToken.None);

    private static EncodedExamples Encode(
        TextTokenizer tokenizer, PromptTemplate template, TrainedTokens tokens, EndToken end, int max, (string, string) row) =>
        new ExampleEncoder(
            new PromptEncoder(tokenizer, template, max), tokenizer.EosTokenId!.Value, max, 10_000, tokens, end)
            .Encode([row], "rows", CancellationToken.None);
}
