using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>Log-likelihoods of choices against lm-evaluation-harness's, and against one forward for every choice.</summary>
[TestClass]
[TestCategory("Evaluation")]
[TestCategory("Numeric")]
public sealed class MultipleChoiceTests
{
    private static readonly MLContext s_ml = TestDevice.Context();

    private static readonly MultipleChoiceQuestion[] s_questions =
    [
        new("Tom has 3 apples and buys 5 more. How many?", ["8 apples", "9", "seven or eight apples, he is not sure"], 0),
        new("", ["yes", "no"], 1),
        new("How many is 7 + 7?\n", ["14", "14.", "4 😀", "1"], 0),
        new("Same?", ["the same", "the same"], 1),
    ];

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void ArcEasyIsAsInLMEvaluationHarness()
    {
        string[] golden = File.ReadAllLines(TestData.Require(TestData.Shared("golden", "generation", "smollm2-arc-easy.jsonl")));
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.Require(TestData.SmolLM2));
        MultipleChoiceQuestion[] questions =
        [
            .. MultipleChoiceQuestion.Read(TestData.Require(TestData.Shared("data", "arc-easy", "validation.jsonl"))).Take(golden.Length),
        ];

        MultipleChoiceEvaluation evaluation = s_ml.Sorsa().EvaluateChoices(model, questions);

        Assert.HasCount(golden.Length, evaluation.Questions);
        double tolerance = TestDevice.Limit(2e-3);
        for (int i = 0; i < golden.Length; i++)
        {
            JsonElement row = JsonDocument.Parse(golden[i]).RootElement;
            double[] expected = [.. row.GetProperty("loglikelihoods").EnumerateArray().Select(value => value.GetDouble())];
            EvaluatedQuestion actual = evaluation.Questions[i];
            Assert.HasCount(expected.Length, actual.LogLikelihoods);
            for (int choice = 0; choice < expected.Length; choice++)
            {
                Assert.AreEqual(expected[choice], actual.LogLikelihoods[choice], tolerance, $"{row}");
            }

            // Where two are closer than the tolerance either will do.
            Assert.IsLessThanOrEqualTo(tolerance, expected.Max() - expected[actual.Chosen], $"{row}");
            int named = row.GetProperty("acc_norm").GetInt32();
            double[] each = [.. expected.Zip(actual.Question.Choices, (value, choice) => value / choice.Length)];
            Assert.IsLessThanOrEqualTo(tolerance, each[named] - each[actual.ChosenNormalized], $"{row}");
        }

        Assert.AreEqual(0.475, evaluation.Accuracy, 1e-9);
        Assert.AreEqual(0.350, evaluation.NormalizedAccuracy, 1e-9);
        Assert.IsTrue(evaluation.Interval is { Lower: > 0.38 and < 0.4, Upper: > 0.55 and < 0.57 }, $"{evaluation.Interval}");
    }

    /// <summary>lm-evaluation-harness's rules, written down once more for one choice at a time.</summary>
    [TestMethod]
    public void LogLikelihoodsAreThoseOfAChoiceAlone()
    {
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        ITextTokenizer tokenizer = model.Model.Prompts.Tokenizer;

        MultipleChoiceEvaluation evaluation = s_ml.Sorsa().EvaluateChoices(model, s_questions);

        for (int i = 0; i < s_questions.Length; i++)
        {
            double[] expected = [.. s_questions[i].Choices.Select(choice =>
                LogLikelihood(model, tokenizer, $"Question: {s_questions[i].Question}\nAnswer:", " " + choice))];
            for (int choice = 0; choice < expected.Length; choice++)
            {
                Assert.AreEqual(expected[choice], evaluation.Questions[i].LogLikelihoods[choice], TestDevice.Limit(1e-4));
            }

            Assert.AreEqual(Array.IndexOf(expected, expected.Max()), evaluation.Questions[i].Chosen);
            double[] each =
            [
                .. expected.Zip(s_questions[i].Choices, (value, choice) => value / new StringInfo(choice).LengthInTextElements),
            ];
            Assert.AreEqual(Array.IndexOf(each, each.Max()), evaluation.Questions[i].ChosenNormalized);
        }

        Assert.AreEqual(evaluation.Questions.Count(question => question.Correct) / 4.0, evaluation.Accuracy);
        Assert.AreEqual(evaluation.Questions.Count(question => question.NormalizedCorrect) / 4.0, evaluation.NormalizedAccuracy);
        Assert.AreEqual(WilsonInterval.Of(evaluation.Correct, 4), evaluation.Interval);
        Assert.AreEqual(WilsonInterval.Of(evaluation.NormalizedCorrect, 4), evaluation.NormalizedInterval);
        Assert.AreEqual((0, false), (evaluation.Questions[3].Chosen, evaluation.Questions[3].Correct), "the first of equals");
    }

    /// <summary>White space that ends the template goes to the choice; another template is another text.</summary>
    [TestMethod]
    [DataRow("{prompt}\n\n", "\n\n")]
    [DataRow("Q: {prompt} A: ", " ")]
    [DataRow("{prompt} So:", " ")]
    public void ATemplateStandsAroundTheQuestion(string format, string between)
    {
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        MultipleChoiceQuestion question = s_questions[0];
        string context = format.Replace("{prompt}", question.Question, StringComparison.Ordinal).TrimEnd();

        EvaluatedQuestion actual = s_ml.Sorsa().EvaluateChoices(model, [question], PromptTemplate.Format(format)).Questions[0];

        for (int choice = 0; choice < question.Choices.Count; choice++)
        {
            Assert.AreEqual(
                LogLikelihood(model, model.Model.Prompts.Tokenizer, context, between + question.Choices[choice]),
                actual.LogLikelihoods[choice], TestDevice.Limit(1e-4));
        }
    }

    [TestMethod]
    public void WhatCannotBeAskedIsRefused()
    {
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        Assert.Contains("no questions", Message([]));
        Assert.Contains("Question 2 is null", Message([s_questions[0], null!]));
        string message = Message([s_questions[0], new(string.Concat(Enumerable.Repeat("apples ", 600)), ["a", "b"], 0)]);
        Assert.Contains("questions: question 2: with the choice 'a' it has ", message);
        Assert.Contains("the model has 512 positions", message);

        string Message(MultipleChoiceQuestion[] questions)
        {
            string message = Assert.ThrowsExactly<ArgumentException>(() => s_ml.Sorsa().EvaluateChoices(model, questions)).Message;
            Assert.AreEqual(message, Assert.ThrowsExactly<ArgumentException>(
                () => s_ml.Sorsa().PrepareChoices(model, questions)).Message);
            return message;
        }
    }

    /// <summary>Of one form, as if they had been asked at once; questions that are changed meanwhile play no part.</summary>
    [TestMethod]
    public void WhatIsPreparedIsAskedLater()
    {
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        PromptTemplate template = PromptTemplate.Format("{prompt}");
        List<MultipleChoiceQuestion> questions = [.. s_questions];

        PreparedEvaluation<MultipleChoiceEvaluation> prepared = s_ml.Sorsa().PrepareChoices(model, questions, template);
        questions.Clear();

        Assert.AreEqual(Numbers(s_ml.Sorsa().EvaluateChoices(model, s_questions, template)), Numbers(prepared.Run()));
        Assert.Throws<OperationCanceledException>(() => prepared.Run(new CancellationToken(canceled: true)));

        static string Numbers(MultipleChoiceEvaluation evaluation) => string.Join(' ', evaluation.Questions
            .SelectMany(question => question.LogLikelihoods).Select(value => value.ToString("R", CultureInfo.InvariantCulture)));
    }

    [TestMethod]
    public void AQuestionHasChoicesAndAnAnswer()
    {
        Assert.Contains("choices has 1 entries", Message(["only"], 0));
        Assert.Contains("choices has 0 entries", Message([], 0));
        Assert.Contains("choices has an empty text at 1", Message(["a", " ", "c"], 0));
        Assert.Contains("answer is 2; it must be from 0 to 1", Message(["a", "b"], 2));
        Assert.Contains("answer is -1; it must be from 0 to 1", Message(["a", "b"], -1));
        Assert.ThrowsExactly<ArgumentNullException>(() => new MultipleChoiceQuestion(null!, ["a", "b"], 0));
        Assert.ThrowsExactly<ArgumentNullException>(() => new MultipleChoiceQuestion("?", null!, 0));

        static string Message(string[] choices, int answer) =>
            Assert.ThrowsExactly<ArgumentException>(() => new MultipleChoiceQuestion("?", choices, answer)).Message;
    }

    [TestMethod]
    public void QuestionsAreReadFromJsonLines()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("q.jsonl"), """
            {"id": 1, "question": "2 + 2?", "choices": ["3", "4", 5], "answer": 1}

            {"answer": 0, "choices": ["ä", "b"], "question": ""}
            """);

        IReadOnlyList<MultipleChoiceQuestion> questions = MultipleChoiceQuestion.Read(folder.File("q.jsonl"));

        Assert.HasCount(2, questions);
        Assert.AreEqual("2 + 2?: 3, 4, 5: 1", $"{questions[0].Question}: {string.Join(", ", questions[0].Choices)}: {questions[0].Answer}");
        Assert.AreEqual(": ä, b: 0", $"{questions[1].Question}: {string.Join(", ", questions[1].Choices)}: {questions[1].Answer}");
    }

    [TestMethod]
    [DataRow("""{"choices": ["a", "b"], "answer": 0}""", "there is no property 'question', only 'choices', 'answer'")]
    [DataRow("""{"question": "?", "answer": 0}""", "there is no property 'choices'")]
    [DataRow("""{"question": "?", "choices": ["a", "b"]}""", "there is no property 'answer'")]
    [DataRow("""{"question": "?", "choices": ["a", "b"], "answer": 2}""", "answer is 2; it must be from 0 to 1")]
    [DataRow("""{"question": "?", "choices": ["a", "b"], "answer": -1}""", "answer is -1; it must be from 0 to 1")]
    [DataRow("""{"question": "?", "choices": ["a", "b"], "answer": "A"}""", "'answer' is \"A\"; it must be a whole number")]
    [DataRow("""{"question": "?", "choices": ["a", "b"], "answer": 0.5}""", "'answer' is 0.5; it must be a whole number")]
    [DataRow("""{"question": "?", "choices": ["a"], "answer": 0}""", "choices has 1 entries")]
    [DataRow("""{"question": "?", "choices": [], "answer": 0}""", "choices has 0 entries")]
    [DataRow("""{"question": "?", "choices": ["a", ""], "answer": 0}""", "choices has an empty text at 1")]
    [DataRow("""{"question": "?", "choices": ["a", null], "answer": 0}""", "the element 1 of 'choices' is of the JSON type null")]
    [DataRow("""{"question": "?", "choices": "a, b", "answer": 0}""", "'choices' is of the JSON type string; it must be an array of texts")]
    [DataRow("""{"question": ["?"], "choices": ["a", "b"], "answer": 0}""", "'question' is of the JSON type array")]
    [DataRow("""{"question": "?", "choices": ["a", "b"], "answer": 0""", "not valid JSON")]
    public void ALineThatIsNoQuestionIsNamed(string line, string message)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(
            folder.File("q.jsonl"), """{"question": "?", "choices": ["a", "b"], "answer": 0}""" + "\n\n" + line + "\n");

        string said = Assert.ThrowsExactly<InvalidDataException>(() => MultipleChoiceQuestion.Read(folder.File("q.jsonl"))).Message;

        Assert.Contains("q.jsonl', line 3: ", said);
        Assert.Contains(message, said);
    }

    [TestMethod]
    public void AFileWithoutQuestionsIsNamed()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("q.jsonl"), "\n");

        Assert.Contains("q.jsonl' holds no questions", Assert.ThrowsExactly<InvalidDataException>(
            () => MultipleChoiceQuestion.Read(folder.File("q.jsonl"))).Message);
        Assert.ThrowsExactly<FileNotFoundException>(() => MultipleChoiceQuestion.Read(folder.File("missing.jsonl")));
    }

    [TestMethod]
    public void TheCsvHoldsEveryChoice()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        MultipleChoiceEvaluation evaluation = s_ml.Sorsa().EvaluateChoices(model, [s_questions[0], s_questions[3]]);

        evaluation.SaveCsv(folder.File("choices.csv"));

        string[] lines = File.ReadAllLines(folder.File("choices.csv"));
        Assert.AreEqual("row,index,right,chosen,chosen_normalized,log_likelihood,characters,question,choice", lines[0]);
        Assert.HasCount(1 + 3 + 2, lines);
        Assert.StartsWith("1,2,0,", lines[3]);
        Assert.EndsWith(",37,Tom has 3 apples and buys 5 more. How many?,\"seven or eight apples, he is not sure\"", lines[3]);
        Assert.AreEqual(
            evaluation.Questions[1].LogLikelihoods[1], double.Parse(lines[5].Split(',')[5], CultureInfo.InvariantCulture));
        Assert.StartsWith("2 questions: likeliest right ", evaluation.ToString());
    }

    private static double LogLikelihood(SorsaTransformer model, ITextTokenizer tokenizer, string context, string continuation)
    {
        int[] own = Encode(context), whole = Encode(context + continuation);
        int[] ids = [.. own, .. whole[own.Length..]];
        return OneForward.LogProbabilities(model.Model.Network, ids)[own.Length..].Sum();

        int[] Encode(string text)
        {
            int[] ids = tokenizer.Encode(text, addSpecialTokens: false);
            return tokenizer.AddsBos ? [tokenizer.BosTokenId!.Value, .. ids] : ids;
        }
    }
}
