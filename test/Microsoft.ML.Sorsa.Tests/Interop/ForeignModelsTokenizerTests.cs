using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Tokenization;
using Microsoft.ML.Tokenizers;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>The tokenizers that users have in hand, as ours see them.</summary>
[TestClass]
[TestCategory("ForeignModels")]
[TestCategory("Tokenizers")]
public sealed class ForeignModelsTokenizerTests
{
    private static readonly string[] Texts = ["Tom has 3 apples.", "a", "two  spaces", "Ünïcode 日本 🎈 end", "🎈🎈", "line\nbreak"];

    [TestMethod]
    public void WhatItEncodesHasNoMoreAndNoLessThanAskedFor()
    {
        TextTokenizer ours = TextTokenizer.Load(Mistral());
        foreach ((bool addsBos, bool addsEos) in new[] { (true, false), (false, false), (true, true) })
        {
            UserTokenizer theirs = new(Llama(addsBos, addsEos));

            Assert.AreEqual(addsBos, theirs.AddsBos);
            Assert.AreEqual(addsBos ? ours.BosTokenId : null, theirs.BosTokenId);
            foreach (string text in Texts)
            {
                int[] plain = ours.Encode(text, addSpecialTokens: false);
                CollectionAssert.AreEqual(plain, theirs.Encode(text, addSpecialTokens: false));
                CollectionAssert.AreEqual(
                    (int[])[.. addsBos ? [1] : Array.Empty<int>(), .. plain, .. addsEos ? [2] : Array.Empty<int>()],
                    theirs.Encode(text, addSpecialTokens: true));
            }

            Assert.IsEmpty(theirs.Encode("", addSpecialTokens: false));
        }
    }

    /// <summary>One BOS in front of a prompt and none in front of a response, whether or not the tokenizer is told to add one.</summary>
    [TestMethod]
    public void PromptsAndResponsesAreEncodedAsWithOurs()
    {
        TextTokenizer ours = TextTokenizer.Load(Mistral());
        (string, string)[] rows = [.. Texts.Select(text => (text, text))];

        foreach (bool addsEos in new[] { false, true })
        {
            EncodedExamples theirs = Examples(new UserTokenizer(Llama(true, addsEos)), rows);
            foreach ((SupervisedExample expected, SupervisedExample example) in Examples(ours, rows).Examples.Zip(theirs.Examples))
            {
                CollectionAssert.AreEqual(expected.Ids, example.Ids);
                Assert.AreEqual(expected.PromptLength, example.PromptLength);
            }
        }
    }

    [TestMethod]
    public void ACharacterComesWithItsLastByteAndSpecialTokensNever()
    {
        foreach (UserTokenizer tokenizer in new[]
        {
            new UserTokenizer(Llama(true, true)), new UserTokenizer(Bytes()), new UserTokenizer(Pieces("<s>", "</s>")),
        })
        {
            ITextStream stream = tokenizer.CreateStream();
            foreach (string text in Texts)
            {
                string[] pieces = [.. tokenizer.Encode(text, addSpecialTokens: true)
                    .Append(tokenizer.EosTokenId!.Value)
                    .Select(stream.Push)];

                Assert.AreEqual(text.TrimStart(), string.Concat(pieces).TrimStart());
                Assert.IsFalse(pieces.Any(piece => piece.Contains('\uFFFD', StringComparison.Ordinal)));
                Assert.AreEqual("", stream.Flush());
            }

            // An unfinished character, and an id that no token has.
            int[] balloon = tokenizer.Encode("🎈", addSpecialTokens: false);
            Assert.AreEqual("", string.Concat(balloon[..^1].Append(1_000_000).Select(stream.Push)).Trim());
            Assert.StartsWith("\uFFFD", stream.Flush());
        }
    }

    [TestMethod]
    public void TheEndIsTheTokenizersOwnUnlessTheUserNamesOne()
    {
        (Tokenizer Tokenizer, int? End, int? Size)[] cases =
        [
            (Llama(true, false), 2, 32000),
            (Bytes(), 300, null),
            (TiktokenTokenizer.Create(ByteTable(), null, null), null, null),
            (Pieces("<s>", "</s>"), 257, 258),
            (Pieces(null, null), null, 258),
            (BertTokenizer.Create(new MemoryStream(Encoding.UTF8.GetBytes("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n"))), null, null),
        ];

        foreach ((Tokenizer tokenizer, int? end, int? size) in cases)
        {
            UserTokenizer taken = new(tokenizer);
            Assert.AreEqual(end, taken.EosTokenId);
            Assert.AreEqual(size, taken.VocabularySize);
            Assert.IsNull(taken.Files);
            UserTokenizer named = new(tokenizer, endTokenId: 97);
            Assert.AreEqual(97, named.EosTokenId);
            Assert.AreEqual("", named.CreateStream().Push(97));
        }
    }

    /// <summary>An answer ends with its turn, too: by the tokens of the tokenizer's own family.</summary>
    [TestMethod]
    [DataRow("<|eot_id|>=301 <|eom_id|>=302 <|end_of_text|>=300", "300 301 302")]
    [DataRow("<|im_start|>=300 <|im_end|>=301 <|endoftext|>=302", "302 301")]
    [DataRow("<eos>=300 <end_of_turn>=301 <start_of_turn>=302", "300 301")]
    [DataRow("<|endoftext|>=300 <|end|>=301 <|user|>=302", "300 301")]
    [DataRow("<|endoftext|>=300 <|return|>=301 <|call|>=302 <|end|>=303", "300 301 302")]
    [DataRow("<|end_of_text|>=300 <|eot_id|>=301 <|end|>=101 <|user|>=117", "300 301")]
    [DataRow("<|end_of_text|>=300", "300")]
    public void EveryEndOfATurnEndsAnAnswer(string special, string ends)
    {
        Dictionary<string, int> tokens = special.Split(' ').Select(token => token.Split('='))
            .ToDictionary(token => token[0], token => int.Parse(token[1], CultureInfo.InvariantCulture));
        UserTokenizer tokenizer = new(TiktokenTokenizer.Create(ByteTable(), null, null, tokens));

        Assert.AreEqual(ends, string.Join(" ", tokenizer.EndTokenIds));
    }

    [TestMethod]
    public void ItHasNoChatTemplate()
    {
        string message = Assert.ThrowsExactly<ArgumentException>(
            () => new PromptEncoder(new UserTokenizer(Bytes()), PromptTemplate.Chat)).Message;

        Assert.Contains("the tokenizer has none", message);
        Assert.Contains("PromptTemplate.Format", message);
    }

    private static string Mistral() => TestData.Require(TestData.Tokenizers("mistral-v1"));

    private static LlamaTokenizer Llama(bool addsBos, bool addsEos)
    {
        using FileStream file = File.OpenRead(Path.Combine(Mistral(), "tokenizer.model"));
        return LlamaTokenizer.Create(file, addsBos, addsEos);
    }

    private static EncodedExamples Examples(ITextTokenizer tokenizer, (string, string)[] rows) =>
        new ExampleEncoder(new PromptEncoder(tokenizer, PromptTemplate.Format("Q: {prompt}"), 64), tokenizer.EosTokenId!.Value, 64, 128)
            .Encode(rows, "rows", CancellationToken.None);

    /// <summary>Every byte is a token, and some are special, as with Llama 3.</summary>
    private static TiktokenTokenizer Bytes() =>
        TiktokenTokenizer.Create(ByteTable(), null, null, new Dictionary<string, int> { ["<|eot_id|>"] = 301, ["<|end_of_text|>"] = 300 });

    internal static MemoryStream ByteTable() =>
        new(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 256)
            .Select(value => $"{Convert.ToBase64String([(byte)value])} {value}\n"))));

    /// <summary>Every byte is a token, written in GPT-2's alphabet.</summary>
    internal static BpeTokenizer Pieces(string? begin, string? end)
    {
        int hidden = 256;
        IEnumerable<KeyValuePair<string, int>> alphabet = Enumerable.Range(0, 256).Select(value =>
            KeyValuePair.Create(
                ((char)(value is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174 ? value : hidden++)).ToString(), value));
        return BpeTokenizer.Create(new BpeOptions([.. alphabet, KeyValuePair.Create("<s>", 256), KeyValuePair.Create("</s>", 257)])
        {
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(new Regex(".+|\n"), null),
            BeginningOfSentenceToken = begin,
            EndOfSentenceToken = end,
        });
    }
}
