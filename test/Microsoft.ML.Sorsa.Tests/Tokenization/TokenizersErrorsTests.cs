using System.Text;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

/// <summary>A damaged file is named with the key, a piece that is not supported with what is.</summary>
[TestClass]
[TestCategory("Tokenizers")]
public sealed class TokenizersErrorsTests
{
    private const string Digits = "pre_tokenizer.pretokenizers.0";
    private const string ByteLevel = "pre_tokenizer.pretokenizers.1";

    [TestMethod]
    [DataRow("model.type", "\"Unigram\"", "'model.type' = \"Unigram\" is not supported; the one model that is supported is BPE")]
    [DataRow("model.dropout", "0.1", "'model.dropout' = 0.1 is not supported; it must be null")]
    [DataRow("model.end_of_word_suffix", "\"</w>\"", "'model.end_of_word_suffix'")]
    [DataRow("model.continuing_subword_prefix", "\"##\"", "'model.continuing_subword_prefix'")]
    [DataRow("model.byte_fallback", "true", "'model.byte_fallback'")]
    [DataRow("model.novelty", "1", "'model.novelty' = 1 is not supported; known here are type, dropout")]
    [DataRow("novelty", "{}", "'novelty' = {} is not supported")]
    [DataRow("normalizer", """{"type":"Lowercase"}""",
        "'normalizer.type' = \"Lowercase\" is not supported; supported normalizers are Prepend, Replace (of a string), NFC, NFD")]
    [DataRow("normalizer", """{"type":"Replace","pattern":{"Regex":"a"},"content":""}""", "'normalizer.pattern.Regex'")]
    [DataRow("pre_tokenizer", """{"type":"Whitespace"}""", "supported pre-tokenizers are Digits, Split, ByteLevel, Metaspace and Sequence")]
    [DataRow(Digits, """{"type":"Split","pattern":{"String":"a"},"behavior":"Isolated","invert":false}""", "pattern.String'")]
    [DataRow(Digits, """{"type":"Split","pattern":{"Regex":"a"},"behavior":"Removed","invert":false}""", "is Isolated")]
    [DataRow(Digits, """{"type":"Split","pattern":{"Regex":"a"},"behavior":"Isolated","invert":true}""", "invert' = true")]
    [DataRow(Digits, """{"type":"Split","pattern":{"Regex":"\\w+"},"behavior":"Isolated","invert":false}""",
        "'\\w' may mean something else in .NET")]
    [DataRow(Digits, """{"type":"Split","pattern":{"Regex":"\\p{Han}"},"behavior":"Isolated","invert":false}""",
        "'\\p' may mean something else in .NET")]
    [DataRow(Digits, """{"type":"Split","pattern":{"Regex":"a$"},"behavior":"Isolated","invert":false}""",
        "'$' may mean something else in .NET")]
    [DataRow(Digits, """{"type":"Split","pattern":{"Regex":"a++"},"behavior":"Isolated","invert":false}""",
        "'++' may mean something else in .NET")]
    [DataRow(Digits, """{"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated","invert":false}""", "Regex' =")]
    [DataRow(ByteLevel + ".add_prefix_space", "true", "add_prefix_space must be false")]
    [DataRow("pre_tokenizer.pretokenizers.2", """{"type":"Digits"}""", "ByteLevel must be the last pre-tokenizer")]
    [DataRow(ByteLevel, """{"type":"Metaspace","replacement":"▁"}""", "Metaspace must be the first pre-tokenizer")]
    [DataRow("pre_tokenizer", """{"type":"Metaspace","replacement":"▁","prepend_scheme":"sometimes"}""",
        "it must be always, first or never")]
    [DataRow("pre_tokenizer", """{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","add_prefix_space":false}""",
        "never where add_prefix_space is false")]
    [DataRow("post_processor", """{"type":"BertProcessing"}""", "supported post-processors are TemplateProcessing, ByteLevel and Sequence")]
    [DataRow("post_processor.single", "[]", "the text must come once")]
    [DataRow("decoder", """{"type":"WordPiece"}""", "supported decoders are ByteLevel, and the Sequence")]
    [DataRow("decoder", null, "without a 'decoder'")]
    [DataRow("decoder", """{"type":"Sequence","decoders":[{"type":"Fuse"}]}""", "supported decoders are")]
    [DataRow("decoder",
        """{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":1}]}""",
        "off the start")]
    public void RefusesByName(string path, string? json, string message) =>
        Fails<NotSupportedException>(TokenizerFiles.TokenizerJson, path, json, message);

    [TestMethod]
    [DataRow("model", null, "'model' is missing")]
    [DataRow("model", "[]", "'model' must be an object; it is []")]
    [DataRow("model.vocab", null, "'model.vocab' is missing")]
    [DataRow("model.vocab.!", "\"x\"", "'model.vocab.!' must be an integer; it is \"x\"")]
    [DataRow("model.vocab.!", "-1", "'model.vocab.!' must be from 0 to")]
    [DataRow("model.vocab.!", "2000000000", "'model.vocab.!' must be from 0 to")]
    [DataRow("model.vocab.!", "3", "have the same id, 3")]
    [DataRow("model.merges", null, "'model.merges' is missing")]
    [DataRow("model.merges.0", "\"a b c\"",
        "'model.merges[0]' must be two tokens of the vocabulary that together are a third; it is \"a b c\"")]
    [DataRow("model.merges.0", """["zz","qq"]""", "'model.merges[0]'")]
    [DataRow("model.merges.0", "7", "'model.merges[0]' must be a string; it is 7")]
    [DataRow("model.unk_token", "\"<none>\"", "'model.unk_token' must be a token of the vocabulary")]
    [DataRow("model.ignore_merges", "\"yes\"", "'model.ignore_merges' must be true or false; it is \"yes\"")]
    [DataRow("added_tokens", "{}", "'added_tokens' must be an array")]
    [DataRow("added_tokens.1.content", "\"\"", "the added token with the id 1 is empty")]
    [DataRow("added_tokens.1.id", "7", "and '<s>' have the same id, 7")]
    [DataRow("added_tokens.1.id", "2000", "the added token '<s>' has the id 2000; in the vocabulary it is 1")]
    [DataRow("added_tokens.1.id", "-1", "'added_tokens[1]' needs an id from 0 to")]
    [DataRow("added_tokens.1.id", "2147483647", "'added_tokens[1]' needs an id from 0 to")]
    [DataRow("added_tokens.1.id", "\"1\"", "'added_tokens[1].id' must be an integer")]
    [DataRow("post_processor.special_tokens.<s>", null, "'post_processor.special_tokens.<s>' is missing")]
    [DataRow("post_processor.special_tokens.<s>.ids.0", "99999", "names the id 99999, which no token has")]
    [DataRow("pre_tokenizer.type", null, "'pre_tokenizer.type' is missing")]
    public void NamesFileAndKeyOfDamage(string path, string? json, string message) =>
        Fails<InvalidDataException>(TokenizerFiles.TokenizerJson, path, json, message);

    [TestMethod]
    [DataRow("bos_token", "\"<none>\"", "'bos_token' is '<none>', which is not in the vocabulary")]
    [DataRow("pad_token", "7", "'pad_token' must be an object; it is 7")]
    [DataRow("chat_template", "7", "'chat_template' must be a string, or a list of objects with name and template; it is 7")]
    [DataRow("chat_template", """{"default":"a"}""", "'chat_template' must be a string, or a list of objects with name and template")]
    [DataRow("chat_template", """["a"]""", "'chat_template[0]' must be an object")]
    [DataRow("chat_template", """[{"name":"default"}]""", "'chat_template[0].template' is missing")]
    [DataRow("chat_template", """[{"name":"default","template":7}]""", "'chat_template[0].template' must be a string; it is 7")]
    [DataRow("added_tokens_decoder", """{"x":{"content":"<s>"}}""", "'added_tokens_decoder.x' needs an id as its key")]
    public void NamesFileAndKeyOfDamageInTheConfig(string path, string json, string message) =>
        Fails<InvalidDataException>(TokenizerFiles.TokenizerConfig, path, json, message);

    [TestMethod]
    [DataRow("{")]
    [DataRow("")]
    [DataRow("[1]")]
    [DataRow("\u0000\u0001")]
    public void NamesAFileThatIsNotJson(string content)
    {
        foreach (string file in new[] { TokenizerFiles.TokenizerJson, TokenizerFiles.TokenizerConfig, TokenizerFiles.SpecialTokensMap })
        {
            TokenizerFiles files = EditedTokenizer.Replace(
                TokenizerFiles.FromFolder(TestData.TinyLlama), file, Encoding.UTF8.GetBytes(content));
            Assert.Contains(file, Assert.ThrowsExactly<InvalidDataException>(() => TextTokenizer.Load(files)).Message);
        }
    }

    [TestMethod]
    [DataRow("IQ== 0\n!? 1\n", "line 2 is '!? 1'")]
    [DataRow("IQ== 0\nIg==\n", "line 2 is 'Ig=='")]
    [DataRow("IQ== 0\nIg== x\n", "line 2 is 'Ig== x'")]
    [DataRow("IQ== 0\nIQ== 1\n", "line 2: the token comes twice")]
    [DataRow("IQ== 0\nIg== 0\n", "have the same id, 0")]
    [DataRow("\r\n", "is empty")]
    [DataRow("\n\u0012garbled", "tokenizer.model is not a whole SentencePiece model")]
    public void NamesADamagedModelFile(string content, string message)
    {
        InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(
            () => TextTokenizer.Load(ModelFile(Encoding.UTF8.GetBytes(content))));
        Assert.Contains("tokenizer.model", error.Message);
        Assert.Contains(message, error.Message);
    }

    [TestMethod]
    public void RefusesASentencePieceModelThatIsNotBpe()
    {
        // One empty piece and nothing else: the format's default is a unigram model.
        NotSupportedException error = Assert.ThrowsExactly<NotSupportedException>(() => TextTokenizer.Load(ModelFile([0x0A, 0x00])));
        Assert.Contains("tokenizer.model has model_type 1 (2, BPE, is supported)", error.Message);
    }

    [TestMethod]
    public void NamesASentencePieceFileThatIsCutShort()
    {
        byte[] whole = TokenizerFiles.FromFolder(TokenizerCases.Folder("mistral-v1")).Find(TokenizerFiles.TokenizerModel)!;
        InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(
            () => TextTokenizer.Load(ModelFile(whole[..(whole.Length / 2)])));
        Assert.Contains("tokenizer.model is not a whole SentencePiece model", error.Message);
    }

    private static void Fails<TError>(string file, string path, string? json, string message)
        where TError : Exception
    {
        TokenizerFiles files = EditedTokenizer.With(file, path, json);
        TError error = Assert.ThrowsExactly<TError>(() => TextTokenizer.Load(files));
        Assert.Contains(file, error.Message);
        Assert.Contains(message, error.Message);
    }

    private static TokenizerFiles ModelFile(byte[] content) => new([KeyValuePair.Create(TokenizerFiles.TokenizerModel, content)]);
}
