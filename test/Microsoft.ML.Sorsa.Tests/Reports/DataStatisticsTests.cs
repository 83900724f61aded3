using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tests.Surface;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Reports;

/// <summary>What rows are like, against counts over the tokenizer's own ids.</summary>
[TestClass]
[TestCategory("Reports")]
public sealed class DataStatisticsTests
{
    private static readonly (string Prompt, string Response)[] s_rows =
    [
        ("Tom has 1 apple.", "1"), ("Tom has 1 apple.", "1"), ("Tom has 1 apple.", "one"), ("", "3"), ("Ben has 2 pears.", " \n"),
        ("  ", ""), ("Ben has 2 pears, and he buys three more of them. How many?", "2 + 3 = 5, so that he has 5 pears."),
        ("Tom has 1 appl", "e.1"),
    ];

    private static readonly (string Prompt, string Response)[] s_validation =
        [("Tom has 1 apple.", "one"), ("Mia has 4 plums.", "4"), ("Tom has 1 apple.", "one"), ("Tom has 1 apple", ".one")];

    private readonly MLContext _mlContext = new();
    private readonly List<string> _log = [];

    public DataStatisticsTests() => _mlContext.Log += (_, e) => _log.Add(e.RawMessage);

    [TestMethod]
    [DataRow(512, 512)]
    [DataRow(24, 6)]
    [DataRow(30, 2)]
    public void TheNumbersAreThoseOfTheRows(int maxPrompt, int maxResponse)
    {
        Options options = Set(maxPrompt, maxResponse);
        (DataStatistics train, DataStatistics? validation) = _mlContext.Sorsa().DescribeData(options, Rows(s_rows), Rows(s_validation));

        Assert.AreEqual((8, 5, 2, 2), (train.RowsGiven, train.Rows, train.EmptyPrompts, train.EmptyResponses));
        Assert.AreEqual((1, 1, (int?)null), (train.Duplicates, train.RepeatedPrompts, train.SharedWithTraining));
        Assert.AreEqual((1, 0, (int?)1), (validation!.Duplicates, validation.RepeatedPrompts, validation.SharedWithTraining));

        int[] prompts = [.. Kept().Select(row => Count(options.PromptTemplate.ToString().Replace("{prompt}", row.Prompt)) + Bos)];
        int[] responses = [.. Kept().Select(row => Count(row.Response) + 1)];
        Verify(prompts, train.Prompts!, maxPrompt);
        Verify(responses, train.Responses!, maxResponse);
        Verify([.. prompts.Zip(responses, (prompt, response) => prompt + response)], train.Texts, null);
        int kept = prompts.Sum(length => Math.Min(length, maxPrompt)) + responses.Sum(length => Math.Min(length, maxResponse));
        Assert.AreEqual((kept, responses.Sum(length => Math.Min(length, maxResponse))), (train.Tokens, train.LearntTokens));
        Assert.AreEqual(
            prompts.Zip(responses).Count(row => row.First > maxPrompt || row.Second > maxResponse), train.Texts.CutTexts);
        Assert.AreEqual(prompts.Sum() + responses.Sum() - kept, train.Texts.CutTokens);
    }

    /// <summary>A row that is one text has one length and one limit.</summary>
    [TestMethod]
    public void PromptAndResponseAsOneTextHaveOneLimit()
    {
        Options options = Set(20, 8);
        options.TrainedTokens = TrainedTokens.All;
        DataStatistics train = _mlContext.Sorsa().DescribeData(options, Rows(s_rows)).Train;

        int[] texts = [.. Kept()
            .Select(row => Count(options.PromptTemplate.ToString().Replace("{prompt}", row.Prompt) + row.Response) + Bos + 1)];
        Assert.IsNull(train.Prompts);
        Assert.IsNull(train.Responses);
        Verify(texts, train.Texts, 28);
        Assert.AreEqual(texts.Sum(length => Math.Max(0, length - 28)), train.Texts.CutTokens);
        Assert.IsGreaterThan(0, train.Texts.CutTokens);
    }

    /// <summary>Percentiles by nearest rank, against counting.</summary>
    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(9)]
    [DataRow(10)]
    [DataRow(100)]
    [DataRow(101)]
    [DataRow(1000)]
    public void APercentileIsTheSmallestLengthThatSoManyDoNotExceed(int count)
    {
        var random = new Random(count);
        List<int> lengths = [.. Enumerable.Range(0, count).Select(_ => random.Next(1, 50))];
        int Smallest(double share) => lengths.Where(length => lengths.Count(other => other <= length) >= (share * count) - 1e-9).Min();
        (int median, int ninety, int most) = (Smallest(0.5), Smallest(0.9), Smallest(0.99));
        double mean = lengths.Average();

        TokenLengths found = TokenLengths.Of(lengths, 7, 0, 0);

        Assert.AreEqual((median, ninety, most, mean), (found.Median, found.Percentile90, found.Percentile99, found.Mean));
        Assert.AreEqual((lengths.Min(), lengths.Max()), (found.Shortest, found.Longest));
    }

    [TestMethod]
    public void TheLogHasThemBeforeTheFirstStepAndTheTransformerAfterIt()
    {
        Options options = TinyTask.Options();
        options.MaxSteps = 1;
        using SorsaTransformer fitted = _mlContext.Sorsa().FineTune(options).Fit(Rows(s_rows), Rows(s_validation));
        (DataStatistics train, DataStatistics? validation) = _mlContext.Sorsa().DescribeData(options, Rows(s_rows), Rows(s_validation));

        Assert.AreEqual(train, fitted.Training!.TrainData);
        Assert.AreEqual(validation, fitted.Training.ValidationData);
        int told = _log.FindIndex(line => line == $"trainData: {train}");
        int step = _log.FindIndex(line => line.StartsWith("Step 1 of", StringComparison.Ordinal));
        Assert.IsTrue(told >= 0 && told < step, $"{told} {step}");
        Assert.Contains($"validationData: {validation}", _log);
        Assert.Contains("1 row that an earlier row equals; 1 row with the prompt of an earlier row and another response", $"{train}");
        Assert.Contains("; 1 row that is trained on, too", $"{validation}");
    }

    private static IEnumerable<(string Prompt, string Response)> Kept() =>
        s_rows.Where(row => !string.IsNullOrWhiteSpace(row.Prompt) && !string.IsNullOrWhiteSpace(row.Response));

    private int Bos => Model.Value.Model.Prompts.Tokenizer.BosTokenId is { } bos
        && Model.Value.Model.Prompts.Encode("")[0] == bos ? 1 : 0;

    private Lazy<SorsaTransformer> Model => field ??= new Lazy<SorsaTransformer>(() => _mlContext.Sorsa().LoadModel(TestData.TinyLlama));

    [TestCleanup]
    public void Free()
    {
        if (Model.IsValueCreated)
        {
            Model.Value.Dispose();
        }
    }

    private int Count(string text) => Model.Value.Model.Prompts.Tokenizer.Encode(text, addSpecialTokens: false).Length;

    private static void Verify(int[] lengths, TokenLengths found, int? limit)
    {
        int[] sorted = [.. lengths.Order()];
        Assert.AreEqual((sorted[0], sorted[^1], sorted[(sorted.Length - 1) / 2]), (found.Shortest, found.Longest, found.Median));
        Assert.AreEqual(limit, found.Limit);
        if (limit is { } most)
        {
            Assert.AreEqual(
                (lengths.Count(length => length > most), (long)lengths.Sum(length => Math.Max(0, length - most))),
                (found.CutTexts, found.CutTokens));
        }
    }

    private static Options Set(int maxPrompt, int maxResponse)
    {
        Options options = TinyTask.Options();
        options.PromptTemplate = PromptTemplate.Format("Question: {prompt}\nAnswer: ");
        (options.MaxPromptLength, options.MaxResponseLength) = (maxPrompt, maxResponse);
        return options;
    }

    private IDataView Rows((string Prompt, string Response)[] rows) => _mlContext.Data.LoadFromEnumerable(
        rows.Select(row => new TinyTask.Row { Prompt = row.Prompt, Response = row.Response }));
}
