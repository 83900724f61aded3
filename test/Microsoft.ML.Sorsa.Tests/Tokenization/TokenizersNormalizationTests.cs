using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

/// <summary>
/// NFC, NFD, NFKC and NFKD against unicodedata.normalize of Python 3.8, whose Unicode version is that of the tokenizers library, 12.1. The
/// tests run without ICU, where string.Normalize changes nothing.
/// </summary>
[TestClass]
[TestCategory("Tokenizers")]
public sealed class TokenizersNormalizationTests
{
    private static readonly int[] s_marks =
    [
        0x300, 0x301, 0x307, 0x308, 0x323, 0x327, 0x328, 0x345, 0x5B0, 0x5B4, 0x93C, 0x3099, 0x1D165, 0x1161, 0x11A8, 0x41, 0x65, 0x1100,
        0xAC00, 0x20,
    ];

    [TestMethod]
    [DataRow("e\u0301", "\u00e9", "e\u0301", "\u00e9", "e\u0301")]
    [DataRow("\u1e9b\u0323", "\u1e9b\u0323", "\u017f\u0323\u0307", "\u1e69", "s\u0323\u0307")]
    [DataRow("\u212b", "\u00c5", "A\u030a", "\u00c5", "A\u030a")]
    [DataRow("\ufb01", "\ufb01", "\ufb01", "fi", "fi")]
    [DataRow("\uac01", "\uac01", "\u1100\u1161\u11a8", "\uac01", "\u1100\u1161\u11a8")]
    [DataRow("\u1112\u1161\u11ab", "\ud55c", "\u1112\u1161\u11ab", "\ud55c", "\u1112\u1161\u11ab")]
    [DataRow("a\u0315\u0300\u05ae\u0300b", "\u00e0\u05ae\u0300\u0315b", "a\u05ae\u0300\u0300\u0315b", "\u00e0\u05ae\u0300\u0315b",
        "a\u05ae\u0300\u0300\u0315b")]
    [DataRow("\u0958", "\u0915\u093c", "\u0915\u093c", "\u0915\u093c", "\u0915\u093c")]
    [DataRow("\u2126\u00bd\u2460", "\u03a9\u00bd\u2460", "\u03a9\u00bd\u2460", "\u03a91\u204421", "\u03a91\u204421")]
    [DataRow("caf\u00e9 \u4e2d x\u0323\u0307", "caf\u00e9 \u4e2d \u1e8b\u0323", "cafe\u0301 \u4e2d x\u0323\u0307",
        "caf\u00e9 \u4e2d \u1e8b\u0323", "cafe\u0301 \u4e2d x\u0323\u0307")]
    [DataRow("\U0001F600e\u0308\U0001F600", "\U0001F600\u00eb\U0001F600", "\U0001F600e\u0308\U0001F600", "\U0001F600\u00eb\U0001F600",
        "\U0001F600e\u0308\U0001F600")]
    [DataRow("plain", "plain", "plain", "plain", "plain")]
    public void KnownRows(string text, string nfc, string nfd, string nfkc, string nfkd)
    {
        Assert.AreEqual(nfc, Normalize("NFC", text));
        Assert.AreEqual(nfd, Normalize("NFD", text));
        Assert.AreEqual(nfkc, Normalize("NFKC", text));
        Assert.AreEqual(nfkd, Normalize("NFKD", text));
    }

    /// <summary>
    /// Every character of the planes that have any to change, alone and between marks, and 20,000 rows of marks: one hash of all results.
    /// </summary>
    [TestMethod]
    [DataRow("NFC", "42a579d83a5a781356df74e0f6bb76254d56a9ec08c5b3d75c95342741c28964")]
    [DataRow("NFD", "61425e27811abea37a95c9c7282947913b1e2eb5e79ee0502fed890694526f0a")]
    [DataRow("NFKC", "0b1b5ad2bc86607b678b8e7f42cdefb8f7aa981f081c351fcebe14dff77f59e6")]
    [DataRow("NFKD", "4b1a44a33ee47b200484590ce904976215173d129aa3bbf9e7018a52879a1f03")]
    public void EveryCharacter(string form, string expected)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string text in Texts())
        {
            hash.AppendData(Encoding.UTF8.GetBytes(Normalize(form, text) + "\n"));
        }

        Assert.AreEqual(expected, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    [TestMethod]
    [DataRow("NFC", "e\u0301", "9")]
    [DataRow("NFD", "\u00e9", "1 10")]
    [DataRow("NFKC", "\uff41e\u0301", "0 9")]
    public void ATokenizerNormalizes(string form, string text, string expected)
    {
        TokenizerFiles files = EditedTokenizer.With(
            TokenizerFiles.TokenizerJson,
            [
                ("model.vocab", """{"a":0,"e":1,"\u0301":10,"\u00e9":9}"""),
                ("model.merges", "[]"),
                ("model.unk_token", "null"),
                ("added_tokens", "[]"),
                ("pre_tokenizer", """{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"never","split":false}"""),
                ("post_processor", "null"),
                ("normalizer", $$"""{"type":"{{form}}"}"""),
            ],
            keepConfig: false);

        int[] ids = TextTokenizer.Load(files).Encode(text, addSpecialTokens: false);

        Assert.AreEqual(expected, string.Join(' ', ids));
    }

    private static string Normalize(string form, string text) =>
        new UnicodeRewrite(Composes: form.EndsWith('C'), Compatibility: form.Contains('K')).Apply(text, atStart: true);

    private static IEnumerable<string> Texts()
    {
        for (int code = 0; code < 0x20000; code++)
        {
            if (Rune.IsValid(code))
            {
                string character = char.ConvertFromUtf32(code);
                yield return character;
                yield return $"a{character}\u0301{character}\u0323";
            }
        }

        for (int code = 0x2F800; code < 0x2FA20; code++)
        {
            yield return char.ConvertFromUtf32(code);
        }

        uint state = 12345;
        for (int row = 0; row < 20000; row++)
        {
            StringBuilder text = new();
            for (int left = 1 + Next(8); left > 0; left--)
            {
                text.Append(char.ConvertFromUtf32(s_marks[Next(s_marks.Length)]));
            }

            yield return text.ToString();
        }

        int Next(int below)
        {
            state = ((state * 1103515245) + 12345) & 0x7FFFFFFF;
            return (int)((state >> 8) % (uint)below);
        }
    }
}
