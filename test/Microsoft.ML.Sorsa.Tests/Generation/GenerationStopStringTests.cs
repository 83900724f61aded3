using System.Text;
using Microsoft.ML.Sorsa.Generation;

namespace Microsoft.ML.Sorsa.Tests.Generation;

[TestClass]
[TestCategory("Generation")]
public sealed class GenerationStopStringTests
{
    [TestMethod]
    [DataRow("one two three", "two", "one ")]
    [DataRow("one two three", "four", "one two three")]
    [DataRow("aaab", "aab", "a")]
    [DataRow("ab ab abc", "abc", "ab ab ")]
    [DataRow("stop", "stop", "")]
    [DataRow("xabcdy", "bc|abcd", "xa")]
    [DataRow("xabcy", "bc|abc", "x")]
    [DataRow("answer\n\nQuestion", "\n\nQ|Question", "answer")]
    [DataRow("the end is n", "near", "the end is n")]
    [DataRow("strasse straße", "ß", "strasse stra")]
    public void TheTextEndsBeforeTheFirstCompleteStopString(string text, string stops, string expected)
    {
        // However the text is cut into two or single-character pieces.
        IEnumerable<string[]> cuts = [
            [text], [.. text.Select(c => c.ToString())],
            .. Enumerable.Range(0, text.Length).Select(at => new[] { text[..at], text[at..] })];
        foreach (string[] pieces in cuts)
        {
            StopStringFilter filter = new(stops.Split('|'));
            StringBuilder given = new();
            foreach (string piece in pieces)
            {
                given.Append(filter.Push(piece));
                Assert.StartsWith(given.ToString(), expected);
            }

            given.Append(filter.Flush());

            Assert.AreEqual(expected, given.ToString());
            Assert.AreEqual(expected != text, filter.Stopped);
        }
    }

    [TestMethod]
    public void OnlyWhatMayBecomeAStopStringIsHeldBack()
    {
        StopStringFilter filter = new(["</s>", "</answer>"]);

        Assert.AreEqual("x ", filter.Push("x <"));
        Assert.AreEqual("", filter.Push("/"));
        Assert.AreEqual("</b", filter.Push("b"));
        Assert.AreEqual("a", filter.Push("a</s>"));
        Assert.AreEqual("", filter.Push("more"));
        Assert.AreEqual("", filter.Flush());
    }

    [TestMethod]
    public void WithoutStopStringsEverythingPasses()
    {
        StopStringFilter filter = new([]);

        Assert.AreEqual("abc", filter.Push("abc"));
        Assert.AreEqual("", filter.Flush());
        Assert.IsFalse(filter.Stopped);
    }

    [TestMethod]
    public void TheDecodersRestBelongsToTheText()
    {
        GeneratedText text = new(id => id == 0 ? "" : $"{id};", () => "rest", ["3;re"]);

        text.Push(1);
        Assert.AreEqual("1;", text.Take());
        text.Push(0);
        text.Push(3);
        Assert.AreEqual("", text.Take());
        text.Complete();
        Assert.AreEqual("", text.Take());
        Assert.IsTrue(text.Stopped);
    }
}
