using System.Text;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Tests.Tokenization;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>
/// Every file and key that decides token ids is read, kept and hashed; a token beyond the model's rows is no reason to refuse a model.
/// </summary>
[TestClass]
[DoNotParallelize]
[TestCategory("Cases")]
[TestCategory("Tokenizers")]
public sealed class TokenizerFileCases
{
    private const string Chat = "<|im_start|>hi<|im_end|>";

    // In the mini model's vocabulary.
    private const int Bos = 1, Eos = 2, Hi = 55;

    private static readonly PromptTemplate s_plain = PromptTemplate.Format("{prompt}");
    private static readonly string s_slow = TestData.Case("01-added_tokens.json-not-read", "a-silently-split");
    private static readonly string s_decoder = TestData.Case("02-added_tokens_decoder-beside-tokenizer.json", "a-silently-split");
    private static readonly string s_normalized = TestData.Case("03-normalized-true-refused", "a-special-tokens");
    private static readonly string s_beyond = TestData.Case("07-tokenizer-one-token-more", "model");

    [TestMethod]
    public void Case01AddedTokensJsonIsRead()
    {
        TextTokenizer tokenizer = TextTokenizer.Load(s_slow);

        CollectionAssert.AreEqual(new[] { Bos, 59, Hi, 58 }, tokenizer.Encode(Chat, addSpecialTokens: true));
        Assert.AreEqual(60, tokenizer.VocabularySize);
        Assert.AreEqual("<|im_start|> hi<|im_end|>", tokenizer.Decode([59, Hi, 58], skipSpecialTokens: true), "they are named nowhere");
    }

    [TestMethod]
    public void Case01BesideTokenizerJsonToo()
    {
        TokenizerFiles files = With(TestData.Case("00-mini-model"), ("added_tokens.json", """{"<|im_start|>": 59, "<|im_end|>": 58}"""));

        CollectionAssert.AreEqual(new[] { 59, Hi, 58 }, TextTokenizer.Load(files).Encode(Chat, addSpecialTokens: false));
    }

    [TestMethod]
    public void Case01WhatIsSavedHasTheFile()
    {
        var mlContext = new MLContext();
        using var folder = new TemporaryFolder();
        string zip = folder.File("model.zip"), first = folder.File("first"), second = folder.File("second");
        using (SorsaTransformer model = mlContext.Sorsa().LoadModel(s_slow))
        {
            model.SaveHuggingFace(first);
            mlContext.Model.Save(model, null, zip);
        }

        using (var loaded = (SorsaTransformer)mlContext.Model.Load(zip, out _))
        {
            loaded.SaveHuggingFace(second);
        }

        byte[] expected = File.ReadAllBytes(Path.Combine(s_slow, "added_tokens.json"));
        CollectionAssert.AreEqual(expected, File.ReadAllBytes(Path.Combine(first, "added_tokens.json")));
        CollectionAssert.AreEqual(expected, File.ReadAllBytes(Path.Combine(second, "added_tokens.json")));
    }

    [TestMethod]
    public void Case01TheFingerprintNamesIt()
    {
        using TemporaryFolder other = Copy(s_slow, ("added_tokens.json", """{"<|im_start|>": 58, "<|im_end|>": 59}"""));
        using TemporaryFolder same = Copy(s_slow);

        string fingerprint = Fingerprint(s_slow);

        Assert.AreEqual(fingerprint, Fingerprint(same.Path));
        Assert.AreNotEqual(fingerprint, Fingerprint(other.Path));
    }

    [TestMethod]
    [DataRow("""{"eos_token": "<|im_end|>", "pad_token": {"content": "<|im_start|>", "lstrip": false}}""")]
    [DataRow("""{"eos_token": {"content": "<|im_end|>"}, "pad_token": "<|im_start|>"}""")]
    public void Case01EosAndPadStandInTheMapAndTheirIdsInAddedTokens(string map)
    {
        using TemporaryFolder folder = Copy(s_slow, ("special_tokens_map.json", map), ("tokenizer_config.json", "{}"));

        TextTokenizer tokenizer = TextTokenizer.Load(folder.Path);

        Assert.AreEqual(58, tokenizer.EosTokenId);
        Assert.AreEqual(59, tokenizer.PadTokenId);
        Assert.AreEqual("hi", tokenizer.Decode([59, Hi, 58], skipSpecialTokens: true), "named tokens are special");
        var mlContext = new MLContext();
        using SorsaTransformer trained = Train(mlContext, folder.Path, ("hi", "ok"));
        Assert.IsNotNull(trained.MergeReport);
    }

    [TestMethod]
    [DataRow("special_tokens_map.json", """{"eos_token": "<|none|>"}""", "special_tokens_map.json: 'eos_token' is '<|none|>'")]
    [DataRow("tokenizer_config.json", """{"added_tokens_decoder": {}, "bos_token": {"content": "<|none|>"}}""",
        "tokenizer_config.json: 'bos_token' is '<|none|>'")]
    [DataRow("special_tokens_map.json", """{"eos_token": 7}""", "special_tokens_map.json: 'eos_token' must be an object; it is 7")]
    [DataRow("added_tokens.json", """{"<|im_start|>": "59"}""", "added_tokens.json: '<|im_start|>' must be an integer; it is \"59\"")]
    [DataRow("added_tokens.json", """{"<|im_start|>": -1}""", "added_tokens.json: '<|im_start|>' needs an id from 0 to")]
    [DataRow("added_tokens.json", """{"": 58}""", "added_tokens.json: the added token with the id 58 is empty")]
    [DataRow("added_tokens.json", """{"<x>": 4}""", "added_tokens.json: the tokens 'a' (tokenizer.model) and '<x>' have the same id, 4")]
    [DataRow("added_tokens.json", """{"</s>": 58}""", "added_tokens.json: the added token '</s>' has the id 58; in the vocabulary it is 2")]
    public void Case01ErrorsNameTheFileThatAValueIsFrom(string file, string content, string message)
    {
        using TemporaryFolder folder = Copy(s_slow, ("tokenizer_config.json", "{}"), (file, content));

        Assert.Contains(message, Assert.ThrowsExactly<InvalidDataException>(() => TextTokenizer.Load(folder.Path)).Message);
    }

    [TestMethod]
    public void Case01TokensOfTheListsAreSpecialAndFollowTheLastOne()
    {
        using TemporaryFolder folder = Copy(
            s_slow,
            ("special_tokens_map.json", """{"pad_token": "[PAD]", "additional_special_tokens": ["<|im_end|>", {"content": "<a>"}]}"""),
            ("tokenizer_config.json",
                """{"additional_special_tokens": ["<|im_start|>"], "extra_special_tokens": {"image_token": "<b>"}}"""));

        TextTokenizer tokenizer = TextTokenizer.Load(folder.Path);

        // As transformers numbers them: by key, the padding token before the lists.
        Assert.AreEqual("60 61 62", string.Join(' ', tokenizer.Encode("[PAD]<a><b>", addSpecialTokens: false)));
        Assert.AreEqual("", tokenizer.Decode([58, 59, 60, 61, 62], skipSpecialTokens: true));
    }

    [TestMethod]
    public void Case02TheDecodersTokensAreThere()
    {
        TextTokenizer tokenizer = TextTokenizer.Load(s_decoder);

        CollectionAssert.AreEqual(new[] { Bos, 59, Hi, 58 }, tokenizer.Encode(Chat, addSpecialTokens: true));
        Assert.AreEqual("hi", tokenizer.Decode([59, Hi, 58], skipSpecialTokens: true));
    }

    [TestMethod]
    public void Case02TheDecodersFlagsWin()
    {
        // In the mini model's tokenizer.json </s> takes no space.
        TokenizerFiles files = With(
            TestData.Case("00-mini-model"),
            ("tokenizer_config.json", """{"added_tokens_decoder": {"2": {"content": "</s>", "lstrip": true, "rstrip": true}}}"""));

        TextTokenizer tokenizer = TextTokenizer.Load(files);

        CollectionAssert.AreEqual(new[] { Hi, Eos, Hi }, tokenizer.Encode("hi  </s>  hi", addSpecialTokens: false));
        Assert.AreEqual("", tokenizer.Decode([Eos], skipSpecialTokens: true), "special in one file is special");
    }

    [TestMethod]
    [DataRow("""{"4": {"content": "<x>"}}""", "the tokens 'a' (tokenizer.json) and '<x>' have the same id, 4")]
    [DataRow("""{"58": {"content": "</s>"}}""", "'</s>' has the id 58; in the vocabulary it is 2 (tokenizer.json)")]
    [DataRow("""{"58": {"content": "<x>"}, "59": {"content": "<x>"}}""", "the added token '<x>' has the id 59, and the id 58")]
    [DataRow("""{"60": {"content": "<y>"}}""", "the tokens '<z>' (added_tokens.json) and '<y>' have the same id, 60")]
    public void Case02FilesThatContradictEachOtherAreNamed(string decoder, string message)
    {
        TokenizerFiles files = With(
            TestData.Case("00-mini-model"),
            ("tokenizer_config.json", $$"""{"added_tokens_decoder": {{decoder}}}"""), ("added_tokens.json", """{"<z>": 60}"""));

        string error = Assert.ThrowsExactly<InvalidDataException>(() => TextTokenizer.Load(files)).Message;

        Assert.StartsWith("tokenizer_config.json: ", error);
        Assert.Contains(message, error);
    }

    [TestMethod]
    [DataRow("tokenizer_config.json", """{"bos_token": "<s>", "eos_token": "</s>", "pad_token": "[PAD]"}""")]
    [DataRow("special_tokens_map.json", """{"pad_token": {"content": "[PAD]"}}""")]
    public void Case02APaddingTokenWithoutAnIdStopsNothing(string file, string content)
    {
        using TemporaryFolder folder = Copy(TestData.Case("00-mini-model"), (file, content));
        var mlContext = new MLContext();

        using SorsaTransformer trained = Train(mlContext, folder.Path, ("hi", "ok"), ("hi hi hi", "ok"));

        Assert.IsNotNull(trained.MergeReport);
        Assert.IsNull(TextTokenizer.Load(folder.Path, rows: 58).PadTokenId);
    }

    [TestMethod]
    [DataRow("<s>hi</s>", "1 11 12 40 46 22 41")]
    [DataRow("hi </s>", "55 2")]
    [DataRow(" <s> hi", "3 1 55")]
    [DataRow("hi", "55")]
    public void Case03ANormalizedTokenIsFoundInTheNormalizedText(string text, string expected)
    {
        // The normalizer makes "▁</s>" of it: a mark is in front, or it is text.
        TextTokenizer tokenizer = TextTokenizer.Load(s_normalized);

        Assert.AreEqual(expected, string.Join(' ', tokenizer.Encode(text, addSpecialTokens: false)));
    }

    [TestMethod]
    public void Case03TheModelAnswers()
    {
        using SorsaTransformer model = new MLContext().Sorsa().LoadModel(
            s_normalized, promptTemplate: s_plain, generation: new GenerationOptions { MaxNewTokens = 2 });

        Assert.IsNotNull(model.Generate("hi"));
    }

    [TestMethod]
    public void Case07AModelWithoutARowForItsPaddingTokenIsTrainedAndAnswers()
    {
        var mlContext = new MLContext();

        // Two lengths in one batch: there is something to pad.
        using SorsaTransformer trained = Train(mlContext, s_beyond, ("hi", "ok"), ("hi hi hi", "ok ok"));

        Assert.IsNotNull(trained.Generate("hi"));
        Assert.IsNull(TextTokenizer.Load(s_beyond, rows: 58).PadTokenId);
        using var folder = new TemporaryFolder();
        trained.SaveHuggingFace(folder.File("saved"));
        using SorsaTransformer loaded = mlContext.Sorsa().LoadModel(folder.File("saved"));
        Assert.IsNotNull(loaded);
    }

    [TestMethod]
    [DataRow("hi <pad>", "ok")]
    [DataRow("hi", "ok<pad>")]
    public void Case07ATextWithTheTokenIsRefusedByItsRow(string prompt, string response)
    {
        string message = Assert.ThrowsExactly<ArgumentException>(
            () => Train(new MLContext(), s_beyond, ("hi", "ok"), (prompt, response))).Message;

        Assert.Contains("row 2: The text holds '<pad>', which is token 58, and the model has the tokens 0 to 57", message);
    }

    [TestMethod]
    public void Case07APromptWithTheTokenIsRefused()
    {
        using SorsaTransformer model = new MLContext().Sorsa().LoadModel(s_beyond);

        string message = Assert.Throws<ArgumentException>(() => model.Generate("<pad>")).Message;

        Assert.Contains("The text holds '<pad>', which is token 58", message);
    }

    [TestMethod]
    public void Case07AnEndTokenWithoutARowIsRefusedBeforeTraining()
    {
        using TemporaryFolder folder = Copy(s_beyond, ("tokenizer_config.json", """{"bos_token": "<s>", "eos_token": "<pad>"}"""));

        string message = Assert.ThrowsExactly<InvalidDataException>(() => Train(new MLContext(), folder.Path, ("hi", "ok"))).Message;

        Assert.Contains("<pad>, is token 58, and the model has the tokens 0 to 57", message);
        using SorsaTransformer model = new MLContext().Sorsa().LoadModel(
            folder.Path, promptTemplate: s_plain, generation: new GenerationOptions { MaxNewTokens = 2 });
        Assert.IsNotNull(model.Generate("hi"));
    }

    [TestMethod]
    public void Case07ABeginTokenWithoutARowIsRefusedWhereEveryTextHasIt()
    {
        TokenizerFiles files = With(
            s_beyond, ("tokenizer_config.json", """{"bos_token": "<pad>", "eos_token": "</s>", "add_bos_token": true}"""));

        string message = Assert.Throws<ArgumentException>(() => TextTokenizer.Load(files, rows: 58)).Message;

        Assert.Contains("Every text begins with '<pad>', which is token 58", message);
    }

    [TestMethod]
    [Timeout(60_000)]
    public void AttackAPatternThatBacktracksWithoutEndIsDoneAtOnce()
    {
        TokenizerFiles files = EditedTokenizer.Replace(
            TokenizerFiles.FromFolder(TestData.TinyLlama), TokenizerFiles.TokenizerJson,
            File.ReadAllBytes(TestData.Attack("redos", "tokenizer.json")));
        TextTokenizer tokenizer = TextTokenizer.Load(EditedTokenizer.Replace(files, TokenizerFiles.TokenizerConfig, null));

        int[] ids = tokenizer.Encode(new string('a', 10_000) + "!", addSpecialTokens: false);

        Assert.AreEqual(new string('a', 10_000) + "!", tokenizer.Decode(ids, skipSpecialTokens: false));
    }

    private static TokenizerFiles With(string folder, params (string Name, string Content)[] files)
    {
        TokenizerFiles all = TokenizerFiles.FromFolder(folder);
        foreach ((string name, string content) in files)
        {
            all = EditedTokenizer.Replace(all, name, Encoding.UTF8.GetBytes(content));
        }

        return all;
    }

    private static TemporaryFolder Copy(string source, params (string Name, string Content)[] files)
    {
        var folder = new TemporaryFolder();
        foreach (string file in Directory.GetFiles(source))
        {
            File.Copy(file, folder.File(Path.GetFileName(file)));
        }

        foreach ((string name, string content) in files)
        {
            File.WriteAllText(folder.File(name), content);
        }

        return folder;
    }

    private static string Fingerprint(string folder)
    {
        using var decompositions = new TemporaryFolder();
        using SorsaBaseModel model = new MLContext().Sorsa().OpenBaseModel(Options(folder), largestRank: 2, decompositions.Path);
        return model.Fingerprint;
    }

    private static SorsaTransformer Train(MLContext mlContext, string folder, params (string Prompt, string Response)[] rows) =>
        mlContext.Sorsa().FineTune(Options(folder)).Fit(mlContext.Data.LoadFromEnumerable(
            rows.Select(row => new Row { Prompt = row.Prompt, Response = row.Response })));

    private static SorsaFineTuningTrainer.Options Options(string folder) => new()
    {
        ModelFolder = folder,
        PromptTemplate = s_plain,
        Rank = 2,
        BatchSize = 2,
        MaxSteps = 1,
        TargetModules = ["q_proj"],
        Generation = new GenerationOptions { MaxNewTokens = 2 },
    };

    private sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }
}
