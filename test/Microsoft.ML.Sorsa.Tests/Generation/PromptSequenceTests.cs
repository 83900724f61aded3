using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Tests.Chat;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Generation;

/// <summary>Many prompts are answered together, in their order, and as they come.</summary>
[TestClass]
[TestCategory("Generation")]
public sealed class PromptSequenceTests
{
    private const int Said = 70;

    private static readonly MLContext s_context = new();
    private static readonly TextTokenizer s_tokenizer = TextTokenizer.Load(TestData.TinyLlama);

    /// <summary>Prompts and answers of unequal lengths: some end at once, some at the limit.</summary>
    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    [DataRow(8)]
    public void AnswersAreThoseOfSinglePromptsInTheirOrder(int batchSize)
    {
        using SorsaTransformer model = Model(batchSize);
        string[] prompts = [.. TinyTask.Rows.Select(row => row.Prompt), "", "1 + 1", string.Concat(Enumerable.Repeat("Tom and ", 40))];

        string[] answers = [.. model.Generate(prompts)];

        CollectionAssert.AreEqual(prompts.Select(model.Generate).ToArray(), answers);
        Assert.IsGreaterThan(2, answers.Distinct(StringComparer.Ordinal).Count());
    }

    /// <summary>A batch is never larger than it may be, and whoever is finished makes room at once.</summary>
    [TestMethod]
    public void ABatchIsFullAndBounded()
    {
        var steps = new List<int>();
        SharedModel model = Shared(rows => steps.Add(rows.Length), batchSize: 3);

        string[] answers = [.. new PromptSequence(model, typeof(SorsaTransformer)).Answer(
            Enumerable.Range(0, 30).Select(i => $"{i}"), CancellationToken.None)];

        Assert.HasCount(30, answers);
        Assert.AreEqual(3, steps.Max());

        // The first prompts may come one after the other.
        Assert.IsGreaterThan(steps.Count / 2, steps.Count(rows => rows == 3));
    }

    /// <summary>Of an endless sequence the first answers come, and no more of it is read than a batch and what is read ahead.</summary>
    [TestMethod]
    public void PromptsAreReadAsThereIsNeed()
    {
        int read = 0;
        using SorsaTransformer model = Model(batchSize: 2);

        string[] answers = [.. model.Generate(Endless()).Take(3)];

        Assert.HasCount(3, answers);
        Assert.IsLessThan(200, read);

        IEnumerable<string> Endless()
        {
            while (true)
            {
                yield return $"{read++} + 1";
            }
        }
    }

    [TestMethod]
    public void APromptThatIsRefusedIsNamedBeforeAnythingIsGenerated()
    {
        using SorsaTransformer model = Model(batchSize: 2);
        string endless = string.Concat(Enumerable.Repeat("many words ", 2000));

        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(() => model.Generate(["1 + 1", endless]));
        ArgumentException missing = Assert.ThrowsExactly<ArgumentException>(() => model.Generate(["1 + 1", "2", null!]));

        Assert.StartsWith("Prompt 2 has ", error.Message);
        Assert.StartsWith("Prompt 3 is null", missing.Message);
    }

    /// <summary>What is not a collection cannot be looked at first: the answers before the prompt are there.</summary>
    [TestMethod]
    public void OfASequenceTheAnswersBeforeARefusedPromptCome()
    {
        using SorsaTransformer model = Model(batchSize: 2);
        string endless = string.Concat(Enumerable.Repeat("many words ", 2000));
        var answers = new List<string>();

        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(() =>
            answers.AddRange(Collected(model.Generate(new[] { "1 + 1", "2 + 2", endless, "3 + 3" }.Where(_ => true)), answers)));

        Assert.StartsWith("Prompt 3 has ", error.Message);
        CollectionAssert.AreEqual(new[] { model.Generate("1 + 1"), model.Generate("2 + 2") }, answers);

        static IEnumerable<string> Collected(IEnumerable<string> texts, List<string> into)
        {
            foreach (string text in texts)
            {
                into.Add(text);
            }

            return [];
        }
    }

    [TestMethod]
    public void ItCanBeCancelledBetweenTwoTokens()
    {
        using var cancel = new CancellationTokenSource();
        int steps = 0;
        SharedModel model = Shared(
            _ =>
            {
                if (++steps == 5)
                {
                    cancel.Cancel();
                }
            },
            batchSize: 2, maxNewTokens: 5000);

        Assert.Throws<OperationCanceledException>(() =>
            new PromptSequence(model, typeof(SorsaTransformer)).Answer(["1", "2", "3"], cancel.Token).ToArray());

        Assert.AreEqual(5, steps);
    }

    [TestMethod]
    public void CancelledOrOfADisposedModelTheAnswersFail()
    {
        SorsaTransformer model = Model(batchSize: 2);
        IEnumerable<string> cancelled = model.Generate(["1"], new CancellationToken(canceled: true));
        IEnumerable<string> answers = model.Generate(["1", "2"]);
        Assert.Throws<OperationCanceledException>(() => cancelled.ToArray());

        model.Dispose();

        Assert.ThrowsExactly<ObjectDisposedException>(() => answers.ToArray());
    }

    [TestMethod]
    public void AnswersAreOfTheAdapterThatWasInUseAtTheFirst()
    {
        using var folder = new TemporaryFolder();
        using (SorsaTransformer trained = TinyTask.Fit(s_context))
        {
            trained.SaveAdapter(folder.File("adapter"));
        }

        using SorsaTransformer model = Model(batchSize: 2);
        model.LoadAdapter("tiny", folder.File("adapter"));
        string[] prompts = [.. TinyTask.Rows.Take(5).Select(row => row.Prompt)];
        string[] plain = [.. model.Generate(prompts)];
        using IEnumerator<string> answers = model.Generate(prompts).GetEnumerator();
        answers.MoveNext();
        string first = answers.Current;

        model.UseAdapter("tiny");
        var rest = new List<string> { first };
        while (answers.MoveNext())
        {
            rest.Add(answers.Current);
        }

        CollectionAssert.AreEqual(plain, rest);
        CollectionAssert.AreNotEqual(plain, model.Generate(prompts).ToArray());
    }

    private static SorsaTransformer Model(int batchSize) => s_context.Sorsa().LoadModel(
        TestData.TinyLlama, generation: new GenerationOptions { MaxNewTokens = 24, BatchSize = batchSize });

    private static SharedModel Shared(Action<int[]> step, int batchSize, int maxNewTokens = 6) => ScriptedChat.Of(
        new SteppedModel(s_tokenizer.VocabularySize, Said, step), s_tokenizer, PromptTemplate.Alpaca,
        new GenerationOptions { BatchSize = batchSize, MaxNewTokens = maxNewTokens });
}
