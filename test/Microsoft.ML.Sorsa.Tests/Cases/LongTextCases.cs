using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Tokenization;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>Rows that are longer than they may be, and runs that are shorter.</summary>
[TestClass]
[TestCategory("Cases")]
[TestCategory("Data")]
public sealed class LongTextCases
{
    private const int LongRow = 18;

    private static readonly TextTokenizer s_tokenizer = TextTokenizer.Load(TestData.TinyLlama);

    private static readonly GenerationOptions s_short = new() { MaxNewTokens = 4, BatchSize = 8 };

    private readonly MLContext _mlContext = new();
    private readonly List<string> _warnings = [];
    private readonly List<string> _infos = [];

    public LongTextCases() => _mlContext.Log += (_, e) =>
        (e.Kind == ChannelMessageKind.Warning ? _warnings : _infos).Add(e.Message);

    public static IEnumerable<object[]> Templates =>
    [
        [PromptTemplate.Alpaca], [PromptTemplate.Format("Question: {prompt}\nAnswer:")], [PromptTemplate.Format("{prompt}")],
        [PromptTemplate.Format("{prompt} and again: {prompt}\n")],
        [PromptTemplate.Format("Q: {prompt}\nA:") with { SplitSpecialTokens = true }],
    ];

    [TestMethod]
    public void Case09ARowThatIsTooLongIsNamedAndLosesNoOther()
    {
        // 30 rows in batches of 8: the long one is in the middle of the third batch.
        TinyTask.Row[] rows = Rows(600);
        using SorsaTransformer model = _mlContext.Sorsa().LoadModel(TestData.TinyLlama, generation: s_short);
        IDataView answers = model.Transform(_mlContext.Data.LoadFromEnumerable(rows));
        string[] expected = [.. rows.Where(row => row != rows[LongRow - 1]).Select(row => model.Generate(row.Prompt))];

        var read = new List<string>();
        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(() =>
        {
            foreach (string answer in answers.GetColumn<string>("Reply"))
            {
                read.Add(answer);
            }
        });

        CollectionAssert.AreEqual(expected[..(LongRow - 1)], read);
        Assert.StartsWith($"Row {LongRow}: the text of 'Prompt' has ", error.Message);
        Assert.Contains("the model has 512 positions", error.Message);

        // Whoever goes on has the rows behind it, too.
        using DataViewRowCursor cursor = answers.GetRowCursor([answers.Schema["Reply"]]);
        ValueGetter<ReadOnlyMemory<char>> getter = cursor.GetGetter<ReadOnlyMemory<char>>(answers.Schema["Reply"]);
        ReadOnlyMemory<char> reply = default;
        while (cursor.MoveNext())
        {
            if (cursor.Position != LongRow - 1)
            {
                getter(ref reply);
                Assert.AreEqual(expected[cursor.Position < LongRow ? (int)cursor.Position : (int)cursor.Position - 1], reply.ToString());
            }
        }

        using var engine = _mlContext.Model.CreatePredictionEngine<TinyTask.Row, TinyTask.Answered>(model);
        Assert.StartsWith(
            "The text of 'Prompt' has ", Assert.ThrowsExactly<ArgumentException>(() => engine.Predict(rows[LongRow - 1])).Message);
    }

    [TestMethod]
    public void Case09ATrainedModelCutsAsItsTrainingDid()
    {
        using var folder = new TemporaryFolder();
        TinyTask.Row[] rows = Rows(600);
        IDataView data = _mlContext.Data.LoadFromEnumerable(rows);
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        (options.MaxPromptLength, options.MaxSteps, options.Generation) = (100, 1, s_short);

        using SorsaTransformer model = _mlContext.Sorsa().FineTune(options).Fit(data);
        string[] answers = TinyTask.Answers(model, data);
        _mlContext.Model.Save(model, data.Schema, folder.File("model.zip"));
        using var loaded = (SorsaTransformer)_mlContext.Model.Load(folder.File("model.zip"), out _);

        Assert.HasCount(30, answers);
        Assert.IsTrue(_infos.Any(info => info.Contains("1 of 30 prompts were cut", StringComparison.Ordinal)));
        Assert.IsTrue(_warnings.Any(warning => warning.Contains("MaxPromptLength is 100", StringComparison.Ordinal)), "once in prediction");
        Assert.HasCount(1, _warnings.Where(warning => warning.Contains("Further ones", StringComparison.Ordinal)));
        Assert.AreEqual(100, loaded.Model.Prompts.MaxLength);
        CollectionAssert.AreEqual(answers, TinyTask.Answers(loaded, data));
    }

    [TestMethod]
    public void Case09AModelAsItIsCutsWhereItIsToldTo()
    {
        TinyTask.Row[] rows = Rows(600);
        using SorsaTransformer model = _mlContext.Sorsa().LoadModel(TestData.TinyLlama, generation: s_short, maxPromptLength: 80);

        Assert.HasCount(30, TinyTask.Answers(model, _mlContext.Data.LoadFromEnumerable(rows)));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _mlContext.Sorsa().LoadModel(TestData.TinyLlama, maxPromptLength: 0));
    }

    [TestMethod]
    [DynamicData(nameof(Templates))]
    public void Case10TheTemplateStaysWholeAndTheTextLosesItsEnd(PromptTemplate template)
    {
        const int Most = 64;
        string prompt = string.Join(' ', Enumerable.Range(0, 300).Select(i => $"Clara has {i} apples,"));
        var whole = new PromptEncoder(s_tokenizer, template);
        var cut = new PromptEncoder(s_tokenizer, template, Most);
        string[] frame = template.ToString().Split("{prompt}");

        int[] ids = cut.Encode(prompt, out int length);

        Assert.HasCount(length, whole.Encode(prompt));
        Assert.IsGreaterThan(Most - frame.Length, ids.Length, "no more is cut than must be");
        Assert.IsLessThanOrEqualTo(Most, ids.Length);
        string text = s_tokenizer.Decode(ids, skipSpecialTokens: true);
        Assert.StartsWith(frame[0], text);
        Assert.EndsWith(frame[^1], text);
        string kept = text[frame[0].Length..].Split(frame.Length > 2 ? frame[1] : "\0")[0];
        kept = frame[^1].Length > 0 && frame.Length == 2 ? kept[..^frame[^1].Length] : kept;
        Assert.StartsWith(kept, prompt);
        CollectionAssert.AreEqual(whole.Encode(kept), ids, "it is the prompt that was shortened");
        CollectionAssert.AreEqual(whole.Encode("Clara"), cut.Encode("Clara"), "one that fits is not touched");
    }

    /// <summary>What is cut may be anything: characters of several bytes, spaces, special tokens, one long word.</summary>
    [TestMethod]
    [DataRow("日本🎈")]
    [DataRow("   \n\t ")]
    [DataRow("</s>")]
    [DataRow("aaaaaaaa")]
    [DataRow("\uD83D")]
    [DataRow("e\u0301")]
    public void Case10WhateverTheTextIsItIsCutToFit(string piece)
    {
        foreach (PromptTemplate template in Templates.Select(template => (PromptTemplate)template[0]))
        {
            var prompts = new PromptEncoder(s_tokenizer, template, 60);
            string tail = template.ToString().Split("{prompt}")[^1];

            int[] ids = prompts.Encode(string.Concat(Enumerable.Repeat(piece, 500)));

            Assert.IsLessThanOrEqualTo(60, ids.Length);
            Assert.EndsWith(tail, s_tokenizer.Decode(ids, skipSpecialTokens: true));
        }
    }

    [TestMethod]
    public void Case10AChatTemplateStaysWhole()
    {
        TextTokenizer chat = TextTokenizer.Load(TestData.Case("05-chat-turn-end-does-not-stop", "chatml-eos-s"));
        int[] whole = new PromptEncoder(chat, PromptTemplate.Chat).Encode("");

        int[] ids = new PromptEncoder(chat, PromptTemplate.Chat, whole.Length + 20).Encode(new string('a', 100));

        Assert.HasCount(whole.Length + 20, ids);
        Assert.AreEqual("<|im_start|> user\n" + new string('a', 20) + "<|im_end|> \n<|im_start|> assistant\n", chat.Decode(ids, false));
    }

    [TestMethod]
    public void Case10ATemplateThatLeavesNoRoomIsRefusedBeforeAnyRow()
    {
        int frame = new PromptEncoder(s_tokenizer, PromptTemplate.Alpaca).Encode("").Length;
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        options.MaxPromptLength = frame;

        string message = Assert.ThrowsExactly<ArgumentException>(
            () => _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext))).Message;

        Assert.Contains($"MaxPromptLength is {frame}, and the prompt template alone has {frame} tokens", message);
        Assert.IsLessThanOrEqualTo(frame + 1, new PromptEncoder(s_tokenizer, PromptTemplate.Alpaca, frame + 1).Encode("one two").Length);
    }

    [TestMethod]
    [DataRow(30, true)]
    [DataRow(2, true)]
    [DataRow(1, false)]
    public void Case10ManyRowsThatAreCutAreWorthAWarning(int count, bool warns)
    {
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        (options.MaxPromptLength, options.MaxSteps) = (100, 2);
        TinyTask.Row[] rows = Rows(150, count);

        _mlContext.Sorsa().FineTune(options).Fit(_mlContext.Data.LoadFromEnumerable(rows)).Dispose();

        int longest = new PromptEncoder(s_tokenizer, PromptTemplate.Alpaca).Encode(rows[0].Prompt).Length;
        longest = count == 1 ? new PromptEncoder(s_tokenizer, PromptTemplate.Alpaca).Encode(rows[LongRow - 1].Prompt).Length : longest;
        string message = (warns ? _warnings : _infos).Single(text => text.Contains("prompts were cut", StringComparison.Ordinal));
        Assert.Contains($"input: {count} of 30 prompts were cut", message);
        Assert.Contains($"MaxPromptLength is 100, and the longest has {longest} tokens", message);
    }

    [TestMethod]
    public void CaseARunOfOneStepTrains()
    {
        var steps = new List<SorsaTrainingProgress>();
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        (options.MaxSteps, options.Progress) = (1, new Listener(steps.Add));

        using SorsaTransformer before = _mlContext.Sorsa().LoadModel(TestData.TinyLlama);
        using SorsaTransformer after = _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext));

        Assert.AreEqual(options.LearningRate!.Value, steps.Single().LearningRate, 1e-12);
        CollectionAssert.AreNotEqual(TinyTask.LogitBits(before.Model.Network), TinyTask.LogitBits(after.Model.Network));
    }

    /// <summary>30 rows; one, or the first ones, with some hundred words.</summary>
    private static TinyTask.Row[] Rows(int words, int count = 1) => [.. Enumerable.Range(1, 30).Select(i => new TinyTask.Row
    {
        Prompt = (count == 1 ? i == LongRow : i <= count)
            ? string.Concat(Enumerable.Repeat("apples ", words)) + "How many?"
            : $"Tom has {i} apples. He buys {i + 2} more. How many?",
        Response = $"{i} + {i + 2} = {i + i + 2}.",
    })];

    private sealed class Listener(Action<SorsaTrainingProgress> act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => act(value);
    }
}
