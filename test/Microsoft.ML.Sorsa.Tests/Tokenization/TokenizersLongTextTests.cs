using System.Text.Json;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

/// <summary>A megabyte without a place to cut comes back in seconds; with a quadratic step anywhere these tests take hours.</summary>
[TestClass]
[TestCategory("Tokenizers")]
public sealed class TokenizersLongTextTests
{
    private const int Length = 1_000_000;

    public static IEnumerable<object[]> Names => TokenizerCases.Names;

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void EncodesAMegabyteOfAnything(string name)
    {
        TextTokenizer tokenizer = TokenizerCases.Load(name);
        Random random = new(1);
        foreach (string text in new[]
        {
            new string('a', Length),
            string.Create(Length, random, static (chars, random) =>
            {
                foreach (ref char c in chars)
                {
                    c = (char)('a' + random.Next(26));
                }
            }),
            "x" + new string(' ', Length) + "x",
            "x" + string.Concat(Enumerable.Repeat(" \n", Length / 2)),
            string.Concat(Enumerable.Repeat("😀", Length / 4)),
            string.Concat(Enumerable.Repeat(tokenizer.BosToken, Length / tokenizer.BosToken!.Length)),
        })
        {
            int[] ids = tokenizer.Encode(text, addSpecialTokens: false);
            Assert.IsTrue(
                string.Equals(text, tokenizer.Decode(ids, skipSpecialTokens: false), StringComparison.Ordinal), $"'{text[..10]}...'");
        }
    }

    /// <summary>
    /// Long words have their queue, short ones a plain search; both are the merges in the order of the list, one after the other.
    /// </summary>
    [TestMethod]
    [DataRow(12)]
    [DataRow(47)]
    [DataRow(48)]
    [DataRow(49)]
    [DataRow(120)]
    public void MergesInTheOrderOfTheList(int length)
    {
        TextTokenizer tokenizer = TokenizerCases.Load("tiny-llama-math");
        using JsonDocument json = JsonDocument.Parse(tokenizer.Files.Find(TokenizerFiles.TokenizerJson));
        Random random = new(length);
        for (int round = 0; round < 20; round++)
        {
            string word = string.Concat(Enumerable.Range(0, length).Select(_ => "etaoinshrdlu"[random.Next(12)]));
            CollectionAssert.AreEqual(
                MergeByTheBook(json.RootElement.GetProperty("model"), word), tokenizer.Encode(word, addSpecialTokens: false), word);
        }
    }

    private static int[] MergeByTheBook(JsonElement model, string word)
    {
        (string Left, string Right)[] merges = [.. model.GetProperty("merges")
            .EnumerateArray()
            .Select(pair => (pair[0].GetString()!, pair[1].GetString()!))];
        List<string> symbols = [.. word.Select(letter => letter.ToString())];
        for (int rank = 0; rank < merges.Length;)
        {
            int at = Enumerable.Range(0, symbols.Count - 1).FirstOrDefault(i => (symbols[i], symbols[i + 1]) == merges[rank], -1);
            if (at < 0)
            {
                rank++;
                continue;
            }

            symbols[at] += symbols[at + 1];
            symbols.RemoveAt(at + 1);
            rank = 0;
        }

        return [.. symbols.Select(symbol => model.GetProperty("vocab").GetProperty(symbol).GetInt32())];
    }
}
