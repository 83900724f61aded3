using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

/// <summary>Patterns come with models, from anybody: none may hold a thread, and an honest text of any length goes through.</summary>
[TestClass]
[TestCategory("Tokenizers")]
public sealed class TokenizersPatternTests
{
    private const int TenMegabytes = 10_000_000;

    private static readonly string[] s_texts =
    [
        "Hello world, it's 12345 tokens;  fine.\n\n  x = y2 + ½!\r\n", "aab aaab! baa", "  \n \n  end", "IT'S we'LL 'sfoo", "", " ",
        "日本語 text",
    ];

    /// <summary>Without backtracking the matches are the same.</summary>
    [TestMethod]
    [DataRow("(a+)+b")]
    [DataRow(@"(\p{L}+)*1")]
    [DataRow("a|ab|abc")]
    [DataRow("a+?b*")]
    [DataRow(@"\p{N}{1,3}")]
    [DataRow(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+")]
    [DataRow(@"[\r\n]|\s?\p{L}+|\s?\p{P}+|[^\s]+|\s+")]
    [DataRow(SplitPattern.Gpt2)]
    [DataRow(SplitPattern.Llama3)]
    [DataRow(SplitPattern.Qwen2)]
    [DataRow(@"\p{L}+|\s+(?!\S)|\s+|[^\s\p{L}]+")]
    public void MatchesAsTheExpressionDoes(string pattern)
    {
        SplitPattern split = new(pattern, "here");
        Regex plain = new(pattern, RegexOptions.CultureInvariant);
        foreach (string text in s_texts)
        {
            List<string> found = [];
            foreach (ValueMatch match in split.Matches(text))
            {
                found.Add(text.Substring(match.Index, match.Length));
            }

            CollectionAssert.AreEqual(plain.Matches(text).Select(match => match.Value).ToArray(), found, text);
        }
    }

    [TestMethod]
    [Timeout(120_000)]
    [DataRow("(a+)+b")]
    [DataRow("(a|a)*b")]
    [DataRow("(a*)*b")]
    [DataRow(@"(\p{L}+)*1")]
    public void APatternThatWouldBacktrackWithoutEndIsDone(string pattern) =>
        Assert.IsGreaterThanOrEqualTo(0, Length(new SplitPattern(pattern, "here"), "b" + new string('a', 100_000) + "!"));

    [TestMethod]
    [Timeout(120_000)]
    [DataRow("(?=a)(a+)+b")]
    [DataRow("(a|aa)+b(?!c)")]
    public void OneThatLooksAroundIsStoppedAndNamed(string pattern)
    {
        SplitPattern split = new(pattern, "tokenizer.json: 'pre_tokenizer.pattern.Regex'", TimeSpan.FromMilliseconds(100));
        string text = "b" + new string('a', 60) + "!";
        string message = Assert.ThrowsExactly<InvalidDataException>(() => Length(split, text)).Message;
        Assert.StartsWith($"tokenizer.json: 'pre_tokenizer.pattern.Regex': the split pattern '{pattern}' takes too long", message);
        Assert.Contains("a text of 62 characters", message);
        Assert.Contains("Use the tokenizer that came with the model", message);
    }

    /// <summary>Each match is quick enough, and all of them together are not.</summary>
    [TestMethod]
    [Timeout(120_000)]
    public void ManySlowMatchesAreStoppedToo()
    {
        SplitPattern split = new("(?=a)(a+)+b|a+!", "here", TimeSpan.FromMilliseconds(400));
        string text = "b" + string.Concat(Enumerable.Repeat(new string('a', 18) + "! ", 5000));
        Assert.Contains("takes too long", Assert.ThrowsExactly<InvalidDataException>(() => Length(split, text)).Message);
    }

    [TestMethod]
    [DataRow("Some words, 12 numbers;  it's.\n\n  And more words. ")]
    [DataRow(" ")]
    [DataRow("x")]
    [DataRow("\n ")]
    public void TenMegabytesOfHonestTextGoThrough(string part)
    {
        string text = string.Concat(Enumerable.Repeat(part, TenMegabytes / part.Length));
        foreach (string pattern in new[] { SplitPattern.Llama3, @"\p{L}+|\s+(?!\S)|\s+|[^\s\p{L}]+", @"\p{L}+|\s+|[^\s\p{L}]+" })
        {
            Assert.AreEqual(text.Length, Length(new SplitPattern(pattern, "here"), text), pattern);
        }
    }

    private static int Length(SplitPattern pattern, string text)
    {
        int length = 0;
        foreach (ValueMatch match in pattern.Matches(text))
        {
            length += match.Length;
        }

        return length;
    }
}
