using System.Text.Json;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Evaluation.Prompts;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>Every prompt of graders/prompts.jsonl, to the character, with its stop strings and its limit.</summary>
[TestClass]
[TestCategory("Evaluation")]
public sealed class EvaluationPromptTests
{
    private static readonly (string Question, string Answer)[] s_none = [];

    [TestMethod]
    [DataRow("authors_eval_gsm8k")]
    [DataRow("authors_eval_math")]
    [DataRow("lm_eval_minerva_math_4shot")]
    [DataRow("lm_eval_hendrycks_math_0shot")]
    public void APromptIsThePrograms(string kind)
    {
        EvaluationPrompt asked = kind switch
        {
            "authors_eval_gsm8k" => EvaluationPrompt.Gsm8kPaper,
            "authors_eval_math" => EvaluationPrompt.MathPaper,
            "lm_eval_minerva_math_4shot" => EvaluationPrompt.MathMinerva,
            _ => EvaluationPrompt.MathHendrycks,
        };
        GoldenPrompt[] rows = Rows(kind);

        IReadOnlyList<string> prompts = asked.Render([.. rows.Select(row => row.Question)]);

        CollectionAssert.AreEqual(rows.Select(row => row.Prompt).ToArray(), prompts.ToArray());
        foreach (GoldenPrompt row in rows)
        {
            AssertGeneration(row, asked.Generation);
        }
    }

    [TestMethod]
    public void TheExamplesOfGsm8kAreTheOnesThatWereDrawn()
    {
        GoldenPrompt[] rows = Rows("lm_eval_gsm8k_5shot");
        var random = new PythonRandom(1234);

        int[][] drawn = [.. Enumerable.Range(0, rows.Max(row => row.Index) + 1).Select(_ => random.Sample(7473, 5))];

        foreach (GoldenPrompt row in rows)
        {
            CollectionAssert.AreEqual(row.TrainIndices, drawn[row.Index], $"row {row.Index}");
        }
    }

    /// <summary>No row is left out: what the authors train with is held in PromptTemplateTests and PromptEncoderTests.</summary>
    [TestMethod]
    public void EveryKindOfRowIsHeld()
    {
        string[] held =
        [
            "authors_eval_gsm8k", "authors_eval_math", "authors_train", "lm_eval_gsm8k_5shot", "lm_eval_hendrycks_math_0shot",
            "lm_eval_minerva_math_4shot",
        ];

        string[] others = [.. All().Select(row => row.Kind).Except(held, StringComparer.Ordinal)];

        Assert.IsEmpty(others, string.Join(", ", others));
    }

    /// <summary>The blocks of each prompt stand at their places in a training file of that length whose other rows are empty.</summary>
    [TestMethod]
    public void Gsm8kWithFiveShotsIsTheProgramsPrompt()
    {
        GoldenPrompt[] rows = Rows("lm_eval_gsm8k_5shot");
        (string Question, string Answer)[] train = [.. Enumerable.Repeat(("", ""), 7473)];
        foreach (GoldenPrompt row in rows)
        {
            string[] blocks = row.Prompt.Split("Question: ")[1..];
            Assert.HasCount(6, blocks);
            for (int shot = 0; shot < 5; shot++)
            {
                string[] sides = blocks[shot].Split("\nAnswer: ");
                train[row.TrainIndices![shot]] = (sides[0], sides[1][..^2]);
            }
        }

        AssertGsm8k(rows, train);
    }

    [TestMethod]
    public void Gsm8kOverItsTrainingFileIsTheProgramsPrompt()
    {
        string file = TestData.Require(TestData.Shared("data", "gsm8k", "train.jsonl"));

        AssertGsm8k(Rows("lm_eval_gsm8k_5shot"), [.. File.ReadLines(file).Select(line =>
        {
            using JsonDocument row = JsonDocument.Parse(line);
            return (row.RootElement.GetProperty("question").GetString()!, row.RootElement.GetProperty("answer").GetString()!);
        })]);
    }

    [TestMethod]
    public void FewerShotsAreDrawnFromTheRowsThatThereAre()
    {
        (string, string)[] train = [("a?", "1"), ("b?", "2"), ("c?", "3")];

        EvaluationPrompt none = EvaluationPrompt.Gsm8kFewShot(s_none, shots: 0),
            two = EvaluationPrompt.Gsm8kFewShot(train, shots: 2, seed: 42);

        Assert.AreEqual("Question: q\nAnswer:", none.Render(["q"]).Single());
        Assert.AreEqual("gsm8k-0-shot", none.Name);

        // CPython: random.Random(42).sample(range(3), 2) is [2, 0], and [0, 1] the next time.
        string[] expected =
        [
            "Question: c?\nAnswer: 3\n\nQuestion: a?\nAnswer: 1\n\nQuestion: q\nAnswer:",
            "Question: a?\nAnswer: 1\n\nQuestion: b?\nAnswer: 2\n\nQuestion: r\nAnswer:",
        ];
        CollectionAssert.AreEqual(expected, two.Render(["q", "r"]).ToArray());
        CollectionAssert.AreEqual(expected, two.Render(["q", "r"]).ToArray(), "drawn on instead of anew");
    }

    [TestMethod]
    [DataRow(-1)]
    [DataRow(4)]
    public void ShotsThatThereAreNotAreRefused(int shots)
    {
        (string, string)[] train = [("a?", "1"), ("b?", "2"), ("c?", "3")];

        ArgumentOutOfRangeException error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => EvaluationPrompt.Gsm8kFewShot(train, shots));

        Assert.AreEqual("shots", error.ParamName);
        Assert.Contains($"shots is {shots}; it must be from 0 to 3, the rows of trainData.", error.Message);
    }

    /// <summary>The model reads what was rendered and nothing else: its tokens, behind the BOS token that the tokenizer adds.</summary>
    [TestMethod]
    public void TheTemplateAddsNothing()
    {
        TextTokenizer tokenizer = TextTokenizer.Load(TestData.TinyLlama);
        var prompts = new PromptEncoder(tokenizer, EvaluationPrompt.Template);
        string prompt = EvaluationPrompt.MathMinerva.Render(["What is {prompt}?"]).Single();

        CollectionAssert.AreEqual(tokenizer.Encode(prompt, addSpecialTokens: true), prompts.Encode(prompt));
        Assert.AreEqual("{prompt}", EvaluationPrompt.Template.ToString());
    }

    /// <summary>An answer is what the model writes without stop strings, up to the first of them.</summary>
    [TestMethod]
    public void AnAnswerEndsAtTheProgramsStopStrings()
    {
        (string, string)[] train = [("Tom has 3 figs. He eats 1. How many are left?", "3 - 1 = 2\n#### 2")];
        EvaluationPrompt asked = EvaluationPrompt.Gsm8kFewShot(train, shots: 1);
        GenerationOptions generation = asked.Generation with { MaxNewTokens = 96, StopStrings = ["Tom", .. asked.Generation.StopStrings] };
        IReadOnlyList<string> prompts = asked.Render(
            ["Mia has 12 apples. She buys 5 more. How many apples are there?", "Tom has 9 marbles. He loses 4. How many are left?"]);

        string[] answers = Answer(generation), whole = Answer(generation with { StopStrings = [] });

        string[] expected = [.. whole.Select(text => text[..generation.StopStrings
            .Select(stop => text.IndexOf(stop, StringComparison.Ordinal)).Where(place => place >= 0).DefaultIfEmpty(text.Length).Min()])];
        CollectionAssert.AreEqual(expected, answers);
        CollectionAssert.AreNotEqual(whole, answers, "no answer was stopped, so that nothing was compared");

        string[] Answer(GenerationOptions options)
        {
            using SorsaTransformer model = new MLContext().Sorsa().LoadModel(
                TestData.TinyLlama, promptTemplate: EvaluationPrompt.Template, generation: options);
            return [.. prompts.Select(model.Generate)];
        }
    }

    /// <summary>Examples follow from a row's place: rows that are not in the file are asked something else in between.</summary>
    private static void AssertGsm8k(GoldenPrompt[] rows, IReadOnlyList<(string Question, string Answer)> train)
    {
        EvaluationPrompt asked = EvaluationPrompt.Gsm8kFewShot(train);
        string[] questions = [.. Enumerable.Repeat("?", rows.Max(row => row.Index) + 1)];
        foreach (GoldenPrompt row in rows)
        {
            questions[row.Index] = row.Question;
        }

        IReadOnlyList<string> prompts = asked.Render(questions);

        CollectionAssert.AreEqual(rows.Select(row => row.Prompt).ToArray(), rows.Select(row => prompts[row.Index]).ToArray());
        Assert.AreEqual("gsm8k-5-shot", asked.Name);
        AssertGeneration(rows[0], asked.Generation);
    }

    private static void AssertGeneration(GoldenPrompt row, GenerationOptions generation)
    {
        Assert.AreEqual(0, generation.Temperature);
        Assert.AreEqual(1, generation.TopP);
        Assert.AreEqual(row.MaxTokens ?? 256, generation.MaxNewTokens);
        CollectionAssert.AreEqual(row.Until, generation.StopStrings.ToArray());
    }

    private static GoldenPrompt[] Rows(string kind)
    {
        GoldenPrompt[] rows = [.. All().Where(row => row.Kind == kind)];
        Assert.IsNotEmpty(rows, kind);
        return rows;
    }

    private static IEnumerable<GoldenPrompt> All() =>
        File.ReadLines(TestData.Require(TestData.Golden("graders", "prompts.jsonl"))).Select(GoldenPrompt.Read);

    private sealed record GoldenPrompt(
        string Kind, int Index, string Question, string Prompt, int[]? TrainIndices, string[] Until, int? MaxTokens)
    {
        public static GoldenPrompt Read(string line)
        {
            using JsonDocument document = JsonDocument.Parse(line);
            JsonElement row = document.RootElement;
            return new GoldenPrompt(
                row.GetProperty("kind").GetString()!, row.GetProperty("index").GetInt32(), row.GetProperty("question").GetString()!,
                row.TryGetProperty("prompt", out JsonElement prompt) ? prompt.GetString()! : "",
                row.TryGetProperty("train_indices", out JsonElement drawn) ? [.. drawn.EnumerateArray().Select(i => i.GetInt32())] : null,
                row.TryGetProperty("until", out JsonElement until) ? [.. until.EnumerateArray().Select(stop => stop.GetString()!)] : [],
                row.TryGetProperty("sampling", out JsonElement sampling) ? sampling.GetProperty("max_tokens").GetInt32() : null);
        }
    }
}
