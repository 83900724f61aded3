using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

/// <summary>
/// Settings that none of the golden tokenizers has, on a vocabulary small enough to work the ids out by hand: a = 0, b = 1, 1 = 2, ▁ = 3,
/// ab = 4, ▁ab = 5, ▁▁ = 6, &lt;x&gt; = 7 (special), ? = 8, é = 9.
/// </summary>
[TestClass]
[TestCategory("Tokenizers")]
public sealed class TokenizersVariantsTests
{
    private const string Whole = """{"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":false}""";

    [TestMethod]
    [DataRow("always", true, "ab", "5")]
    [DataRow("always", true, "  ab<x>ab", "3 5 7 5")]
    [DataRow("always", false, "a  ", "3 0 6")]
    [DataRow("always", true, "a  ", "3 0 3 3")]
    [DataRow("first", true, "ab<x>ab", "5 7 4")]
    [DataRow("first", true, "<x>ab", "7 4")]
    [DataRow("never", true, "ab ab", "4 5")]
    public void Metaspace(string scheme, bool split, string text, string expected) => Check(
        expected,
        text,
        ("pre_tokenizer",
            $$"""{"type":"Metaspace","replacement":"▁","prepend_scheme":"{{scheme}}","split":{{(split ? "true" : "false")}}}"""));

    [TestMethod]
    [DataRow("""{"type":"Metaspace","replacement":"▁"}""", "ab<x>ab", "5 7 5")]
    [DataRow("""{"type":"Metaspace","replacement":"▁","add_prefix_space":false}""", "ab", "4")]
    public void MetaspaceAsOlderFilesWriteIt(string preTokenizer, string text, string expected) =>
        Check(expected, text, ("pre_tokenizer", preTokenizer));

    [TestMethod]
    [DataRow(true, "a11b", "0 2 2 1")]
    [DataRow(false, "a11b", "0 10 1")]
    public void Digits(bool individual, string text, string expected) => Check(
        expected,
        text,
        ("pre_tokenizer",
            $$"""
            {"type":"Sequence","pretokenizers":[{{Whole}},{"type":"Digits","individual_digits":{{(individual ? "true" : "false")}}}]}
            """));

    [TestMethod]
    [DataRow(null, false, "azzb", "4")]
    [DataRow("\"?\"", false, "azzb", "0 8 8 1")]
    [DataRow("\"?\"", true, "azzb", "0 8 1")]
    [DataRow("\"?\"", true, "zazéz", "8 0 8 9 8")]
    [DataRow("\"?\"", true, "a😀😀b", "0 8 1")]
    public void UnknownCharacters(string? unknown, bool fuse, string text, string expected) =>
        Check(expected, text, ("model.unk_token", unknown ?? "null"), ("model.fuse_unk", fuse ? "true" : "false"));

    [TestMethod]
    [DataRow(false, false, "a <x> b", "0 3 7 3 1")]
    [DataRow(true, false, "a <x> b", "0 7 3 1")]
    [DataRow(false, true, "a <x> b", "0 3 7 1")]
    [DataRow(true, true, "  <x>  <x>a", "7 7 0")]
    public void AddedTokensTakeTheSpaceBesideThem(bool before, bool after, string text, string expected) => Check(
        expected,
        text,
        ("added_tokens.0.lstrip", before ? "true" : "false"),
        ("added_tokens.0.rstrip", after ? "true" : "false"));

    [TestMethod]
    public void TheLongestAddedTokenIsFoundAndLateOnesComeSecond() => Check(
        "12 7 11 0",
        "<x>b<x><xa",
        ("added_tokens.1", """{"id":11,"content":"<x","normalized":true,"special":false}"""),
        ("added_tokens.2", """{"id":12,"content":"<x>b","normalized":false,"special":false}"""));

    [TestMethod]
    [DataRow("ab b <x>ab", "5 11 7 5")]
    [DataRow("ab<x>ab", "5 7 5")]
    [DataRow("ab  <y>", "5 3 12")]
    [DataRow("<x><y>", "7 12")]
    public void NormalizedTokensAreSearchedInTheNormalizedTextAndTheOthersBefore(string text, string expected)
    {
        // <y> is searched as "▁<y>", and "b " as "▁b▁"; a stretch between two of the others begins with a mark of its own.
        string[] tokens =
        [
            """{"id":7,"content":"<x>","normalized":false,"special":true}""",
            """{"id":11,"content":"b ","normalized":true,"special":false}""",
            """{"id":12,"content":"<y>","normalized":true,"special":true}""",
        ];
        Check(
            expected, text,
            ("normalizer", """
                {"type":"Sequence","normalizers":[
                  {"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}
                """),
            ("added_tokens", $"[{string.Join(',', tokens)}]"));
    }

    [TestMethod]
    [DataRow("<x> a <x> a<x> <x>a <x>", "7 3 0 3 7 3 0 3 0 3 7")]
    [DataRow("<x>,<x>-<x>", "7 7 7")]
    [DataRow("\u0330<x>", "")]
    [DataRow("\u00B2<x>\u24D0", "")]
    [DataRow("\u00B2<x>\u2460", "7")]
    [DataRow("_<x>", "")]
    [DataRow("<x><x>", "7 7")]
    [DataRow("\U0001D54F<x>", "")]
    public void ATokenThatMustBeAWordOfItsOwn(string text, string expected) => Check(
        expected, text, ("added_tokens.0.single_word", "true"));

    [TestMethod]
    [DataRow("true", "false", "8 7 4")]
    [DataRow("true", "true", "8 7 4 7")]
    [DataRow("false", "true", "4 7")]
    [DataRow("null", "null", "7 4")]
    public void TheConfigurationSaysWhatStandsAroundAText(string addBos, string addEos, string expected)
    {
        TokenizerFiles files = EditedTokenizer.Replace(
            Edited(("post_processor", """
                {"type":"TemplateProcessing","pair":[],
                 "single":[{"SpecialToken":{"id":"x","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
                 "special_tokens":{"x":{"id":"x","ids":[7],"tokens":["<x>"]}}}
                """)),
            TokenizerFiles.TokenizerConfig,
            System.Text.Encoding.UTF8.GetBytes($$"""
                {"bos_token":"{{(addBos == "true" ? "?" : "<x>")}}","eos_token":"<x>","add_bos_token":{{addBos}},"add_eos_token":{{addEos}}}
                """));
        int[] ids = TextTokenizer.Load(files).Encode("ab", addSpecialTokens: true);
        Assert.AreEqual(expected, string.Join(' ', ids));
    }

    [TestMethod]
    [DataRow("ab", "4 7")]
    [DataRow("", "7")]
    public void SpecialTokensBehindTheText(string text, string expected)
    {
        TextTokenizer tokenizer = TextTokenizer.Load(Edited(("post_processor", """
            {"type":"TemplateProcessing","single":[{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"end","type_id":0}}],"pair":[],
             "special_tokens":{"end":{"id":"end","ids":[7],"tokens":["<x>"]}}}
            """)));
        Assert.AreEqual(expected, string.Join(' ', tokenizer.Encode(text, addSpecialTokens: true)));
        Assert.IsFalse(tokenizer.AddsBos);
    }

    [TestMethod]
    [DataRow(false, "4 1")]
    [DataRow(true, "13")]
    public void WholeWordsFirst(bool ignoreMerges, string expected) =>
        Check(expected, "abb", ("model.ignore_merges", ignoreMerges ? "true" : "false"), ("model.vocab.abb", "13"));

    [TestMethod]
    public void ALoneSurrogateCountsAsTheReplacementCharacter()
    {
        TextTokenizer tokenizer = TokenizerCases.Load("tiny-llama-math");
        CollectionAssert.AreEqual(
            tokenizer.Encode("a\uFFFDb \uFFFD\uFFFD", addSpecialTokens: false),
            tokenizer.Encode("a\uD800b \uDC00\uD83D", addSpecialTokens: false));
    }

    private static void Check(string expected, string text, params (string Path, string? Json)[] edits) =>
        Assert.AreEqual(expected, string.Join(' ', TextTokenizer.Load(Edited(edits)).Encode(text, addSpecialTokens: false)));

    private static TokenizerFiles Edited(params (string Path, string? Json)[] edits) => EditedTokenizer.With(
        TokenizerFiles.TokenizerJson,
        [
            ("model.vocab", """{"a":0,"b":1,"1":2,"▁":3,"ab":4,"▁ab":5,"▁▁":6,"<x>":7,"?":8,"é":9,"11":10}"""),
            ("model.merges", """[["▁","▁"],["a","b"],["▁","ab"],["1","1"]]"""),
            ("model.unk_token", "null"),
            ("added_tokens",
                """[{"id":7,"content":"<x>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}]"""),
            ("pre_tokenizer", Whole),
            ("post_processor", "null"),
            .. edits,
        ],
        keepConfig: false);
}
