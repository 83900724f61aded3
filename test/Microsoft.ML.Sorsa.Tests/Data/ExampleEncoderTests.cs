using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Data;

[TestClass]
[TestCategory("Data")]
public sealed class ExampleEncoderTests
{
    private const string Prompt = "A toy costs 10 dollars.";
    private const string Response = "Dan pays 8 * 10 = 80 dollars.";

    private static readonly TextTokenizer s_tokenizer = TextTokenizer.Load(TestData.TinyLlama);
    private static readonly int s_eos = s_tokenizer.EosTokenId!.Value;
    private static readonly int[] s_promptIds = [s_tokenizer.BosTokenId!.Value, .. s_tokenizer.Encode(Prompt, addSpecialTokens: false)];
    private static readonly int[] s_responseIds = [.. s_tokenizer.Encode(Response, addSpecialTokens: false), s_eos];

    [TestMethod]
    public void APromptThenAResponseThenTheEndToken()
    {
        EncodedExamples encoded = Encode(100, 100, 200, (Prompt, Response));
        SupervisedExample example = encoded.Examples.Single();

        CollectionAssert.AreEqual(s_promptIds.Concat(s_responseIds).ToArray(), example.Ids);
        Assert.AreEqual(s_promptIds.Length, example.PromptLength);
        Assert.AreEqual((0, 0, 0), (encoded.Dropped, encoded.Prompts.Count, encoded.Responses.Count));
    }

    [TestMethod]
    public void EachIsCutAtItsOwnLengthAndTheEndTokenIsCutFirst()
    {
        int fits = s_responseIds.Length;
        foreach ((int prompt, int response, int truncated) in new[]
        {
            (3, 100, 1), (100, 4, 1), (3, 4, 1), (s_promptIds.Length, fits, 0), (s_promptIds.Length, fits - 1, 1),
        })
        {
            EncodedExamples encoded = Encode(prompt, response, 200, (Prompt, Response));
            SupervisedExample example = encoded.Examples.Single();
            int[] expected = [.. s_promptIds.Take(prompt), .. s_responseIds.Take(response)];

            CollectionAssert.AreEqual(expected, example.Ids);
            Assert.AreEqual(Math.Min(prompt, s_promptIds.Length), example.PromptLength);
            Assert.AreEqual(truncated, Math.Max(encoded.Prompts.Count, encoded.Responses.Count));
            Assert.AreEqual((s_promptIds.Length, fits), (encoded.Prompts.Longest, encoded.Responses.Longest));
            Assert.AreEqual(response >= fits, example.Ids[^1] == s_eos);
        }
    }

    [TestMethod]
    public void RowsWithoutAPromptOrAResponseAreDroppedAndCounted()
    {
        EncodedExamples encoded = Encode(100, 4, 200, ("", Response), (Prompt, " \n"), (Prompt, Response), (Prompt, "8"), ("", ""));

        Assert.HasCount(2, encoded.Examples);
        Assert.AreEqual((3, 0, 1), (encoded.Dropped, encoded.Prompts.Count, encoded.Responses.Count));
        string message = Assert.ThrowsExactly<InvalidOperationException>(() => Encode(9, 9, 200, ("", "x"), ("x", ""))).Message;
        Assert.Contains("of 2 rows, 2 have an empty prompt or response", message);
        Assert.Contains("of 0 rows", Assert.ThrowsExactly<InvalidOperationException>(() => Encode(9, 9, 200)).Message);
    }

    [TestMethod]
    public void ARowThatDoesNotFitTheModelIsNamed()
    {
        int length = s_promptIds.Length + s_responseIds.Length;
        Assert.HasCount(1, Encode(100, 100, length, (Prompt, Response)).Examples);
        var error = Assert.ThrowsExactly<ArgumentException>(() => Encode(100, 100, length - 1, ("", ""), (Prompt, Response)));

        Assert.AreEqual("data", error.ParamName);
        Assert.Contains(
            $"row 2 has {s_promptIds.Length} tokens of prompt and {s_responseIds.Length} of response, " +
            $"and the model has {length - 1} positions", error.Message);
    }

    [TestMethod]
    public void CancellingIsNoticed() => Assert.ThrowsExactly<OperationCanceledException>(
        () => Encoder(9, 9, 200).Encode([(Prompt, Response)], "data", new CancellationToken(canceled: true)));

    private static EncodedExamples Encode(int maxPrompt, int maxResponse, int positions, params (string, string)[] rows) =>
        Encoder(maxPrompt, maxResponse, positions).Encode(rows, "data", CancellationToken.None);

    private static ExampleEncoder Encoder(int maxPrompt, int maxResponse, int positions) =>
        new(new PromptEncoder(s_tokenizer, PromptTemplate.Format("{prompt}"), maxPrompt), s_eos, maxResponse, positions);
}
