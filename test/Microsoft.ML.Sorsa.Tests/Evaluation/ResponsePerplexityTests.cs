using System.Globalization;
using System.Xml.Linq;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Tests.Surface;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>The perplexity of responses against the trainer's validation loss, and against one forward for every row.</summary>
[TestClass]
[TestCategory("Evaluation")]
[TestCategory("Numeric")]
public sealed class ResponsePerplexityTests
{
    private static readonly MLContext s_ml = TestDevice.Context();

    /// <summary>
    /// The loss that training validates with, over the same rows behind its last step: the merged weights are the adapted ones but for the
    /// rounding of float32.
    /// </summary>
    [TestMethod]
    [DataRow(512, 512)]
    [DataRow(512, 5)]
    [DataRow(55, 512)]
    public void ItIsTheValidationLossOfTraining(int maxPrompt, int maxResponse)
    {
        var losses = new List<double>();
        Options options = TinyTask.Options();
        (options.MaxPromptLength, options.MaxResponseLength, options.SavedType) = (maxPrompt, maxResponse, WeightType.Float32);
        options.Progress = new Listener(progress => losses.AddRange(progress.ValidationLoss is { } loss ? [loss] : []));
        IDataView rows = s_ml.Data.LoadFromEnumerable(
            TinyTask.Rows.Append(new TinyTask.Row { Prompt = "no response", Response = " " }).ToArray());
        using SorsaTransformer model = s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml), rows);

        SorsaEvaluation evaluation = s_ml.Sorsa().Evaluate(
            model, rows, new EvaluationOptions { MaxResponseLength = maxResponse });

        Assert.AreEqual(losses[^1], evaluation.Loss!.Value, TestDevice.Limit(2e-5));
        Assert.AreEqual(losses[^1], Math.Log(evaluation.Perplexity!.Value), TestDevice.Limit(2e-5));
        Assert.IsNull(evaluation.Grader);
        Assert.IsNull(evaluation.GenerationTime);
        Assert.HasCount(TinyTask.Rows.Length + 1, evaluation.Answers);
        Assert.AreEqual((null, 0), (evaluation.Answers[^1].Loss, evaluation.Answers[^1].ResponseTokens));
        Assert.AreEqual(0, evaluation.Failed);
    }

    /// <summary>Row by row, each alone: no other row, and no padding, has a part in it.</summary>
    [TestMethod]
    [DataRow(WeightType.Float32, 1e-5)]
    [DataRow(WeightType.BFloat16, 0.05)]        // a batch's matmuls round 8 bits otherwise than those of one row
    public void EveryRowHasItsOwnLoss(WeightType type, double tolerance)
    {
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama, computeType: type);
        TinyTask.Row[] rows =
        [
            .. TinyTask.Rows, new TinyTask.Row { Prompt = "Why?", Response = string.Concat(Enumerable.Repeat("so ", 90)) },
        ];

        SorsaEvaluation evaluation = s_ml.Sorsa().Evaluate(model, s_ml.Data.LoadFromEnumerable(rows), new EvaluationOptions());

        PromptEncoder prompts = model.Model.Prompts;
        double sum = 0;
        for (int i = 0; i < rows.Length; i++)
        {
            int[] prompt = prompts.Encode(rows[i].Prompt);
            int[] response = [.. prompts.Tokenizer.Encode(rows[i].Response, addSpecialTokens: false), 2];
            double loss = -OneForward.LogProbabilities(model.Model.Network, [.. prompt, .. response])[prompt.Length..].Sum();
            Assert.AreEqual(response.Length, evaluation.Answers[i].ResponseTokens);
            Assert.AreEqual(loss / response.Length, evaluation.Answers[i].Loss!.Value, TestDevice.Limit(tolerance));
            sum += loss;
        }

        Assert.AreEqual(sum / evaluation.ResponseTokens, evaluation.Loss!.Value, TestDevice.Limit(tolerance));
        Assert.AreEqual(evaluation.Answers.Sum(answer => answer.ResponseTokens), evaluation.ResponseTokens);
    }

    /// <summary>The adapter in use is the model that is measured.</summary>
    [TestMethod]
    public void AnAdapterThatIsSwitchedOnCounts()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = TinyTask.Fit(s_ml);
        trained.SaveAdapter(folder.File("adapter"));
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama, maxPromptLength: 512);
        model.LoadAdapter("sums", folder.File("adapter"));

        double Perplexity(SorsaTransformer asked) =>
            s_ml.Sorsa().Evaluate(asked, TinyTask.Data(s_ml), new EvaluationOptions()).Perplexity!.Value;

        double before = Perplexity(model);
        model.UseAdapter("sums");
        double with = Perplexity(model);
        model.UseAdapter(null);

        Assert.IsLessThan(0.8 * before, with);
        Assert.AreEqual(Perplexity(trained), with, 1e-3 * with);
        Assert.AreEqual(before, Perplexity(model));
    }

    /// <summary>The graded answers are those of the shorthand, and the losses those of an evaluation of losses alone.</summary>
    [TestMethod]
    public void VerdictsAndLossesComeTogether()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = TinyTask.Fit(s_ml);
        IDataView data = s_ml.Data.LoadFromEnumerable(TinyTask.Rows.Select((row, i) => new Both
        {
            Prompt = row.Prompt,
            Response = row.Response,
            Gold = i == 3 ? "no number" : row.Response,
        }).ToArray());

        SorsaEvaluation both = s_ml.Sorsa().Evaluate(model, data, new EvaluationOptions
        {
            Grader = AnswerGraders.LastNumber,
            GoldColumnName = "Gold",
            ResponseColumnName = "Response",
        });
        SorsaEvaluation graded = s_ml.Sorsa().Evaluate(model, data, AnswerGraders.LastNumber, "Gold");
        SorsaEvaluation losses = s_ml.Sorsa().Evaluate(model, data, new EvaluationOptions { GoldColumnName = "Response" });

        Assert.AreEqual((graded.Correct, graded.Graded, graded.Failed), (both.Correct, both.Graded, both.Failed));
        CollectionAssert.AreEqual(
            graded.Answers.Select(answer => answer.Text).ToArray(), both.Answers.Select(answer => answer.Text).ToArray());
        CollectionAssert.AreEqual(
            losses.Answers.Select(answer => answer.Loss).ToArray(), both.Answers.Select(answer => answer.Loss).ToArray());
        Assert.AreEqual(losses.Perplexity, both.Perplexity);
        Assert.AreEqual((null, null, 0L), (graded.Perplexity, graded.Loss, graded.ResponseTokens));
        Assert.AreEqual(both.Answers.Count / both.GenerationTime!.Value.TotalSeconds, both.Throughput!.Value, 1e-9);
        Assert.IsNull(losses.Throughput);

        string perplexity = both.Perplexity!.Value.ToString("G5", CultureInfo.InvariantCulture);
        Assert.Contains($"responses' perplexity {perplexity} (", both.ToString());
        Assert.Contains("answers a second", both.ToString());
        Assert.StartsWith("responses' perplexity ", losses.ToString());

        both.SaveCsv(folder.File("both.csv"));
        string[] lines = File.ReadAllLines(folder.File("both.csv"));
        Assert.EndsWith(",problem,loss,response_tokens", lines[0]);
        Assert.EndsWith(
            string.Create(CultureInfo.InvariantCulture, $",{both.Answers[^1].Loss:R},{both.Answers[^1].ResponseTokens}"), lines[^1]);

        both.SaveReport(folder.File("both.html"));
        XElement page = Page(folder.File("both.html"));
        Assert.Contains(perplexity, page.Descendants("dd").Select(fact => fact.Value).ToArray());
        Assert.HasCount(both.Answers.Count, page.Descendants("article").ToArray());
        losses.SaveReport(folder.File("losses.html"));
        page = Page(folder.File("losses.html"));
        Assert.AreEqual("Evaluation", page.Descendants("h1").Single().Value);
        Assert.Contains(TinyTask.Rows[0].Response, page.Descendants("pre").Select(pre => pre.Value).ToArray());
    }

    [TestMethod]
    public void WhatCannotBeAskedIsSaidBeforeAnyWork()
    {
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        IDataView data = TinyTask.Data(s_ml);

        Assert.Contains("Perplexity is false", Message(new() { Perplexity = false }));
        Assert.Contains("MaxResponseLength is 0; it must be at least 1", Message(new() { MaxResponseLength = 0 }));
        Assert.Contains("GoldColumnName", Message(new() { GoldColumnName = "" }));
        Assert.Contains("ResponseColumnName is ' '", Message(new() { ResponseColumnName = " " }));
        Assert.Contains("'No', which ResponseColumnName names", Message(new() { ResponseColumnName = "No" }));
        Assert.Contains("'No', which GoldColumnName, or ResponseColumnName, names", Message(new() { GoldColumnName = "No" }));
        Assert.Contains(
            "'No', which GoldColumnName names",
            Message(new() { Grader = AnswerGraders.LastNumber, GoldColumnName = "No", ResponseColumnName = "Response" }));
        Assert.Contains(
            "GoldColumnName is 'Reply'", Message(new() { Grader = AnswerGraders.LastNumber, GoldColumnName = "Reply" }));
        Assert.ThrowsExactly<ArgumentNullException>(() => s_ml.Sorsa().Evaluate(model, data, (EvaluationOptions)null!));

        data = s_ml.Data.LoadFromEnumerable(new[] { TinyTask.Rows[0], new() { Prompt = "?", Response = new string('x', 3000) } });
        string long_ = Message(new() { MaxResponseLength = 1000 });
        Assert.Contains("data: row 2 has ", long_);
        Assert.Contains("MaxPromptLength (now not set) and MaxResponseLength (now 1000)", long_);
        data = s_ml.Data.LoadFromEnumerable(Array.Empty<TinyTask.Row>());
        Assert.Contains("no rows", Message(new()));
        data = TinyTask.Data(s_ml);
        Assert.Throws<OperationCanceledException>(
            () => s_ml.Sorsa().Evaluate(model, data, new EvaluationOptions { CancellationToken = new(canceled: true) }));

        string Message(EvaluationOptions options) =>
            Assert.Throws<ArgumentException>(() => s_ml.Sorsa().Evaluate(model, data, options)).Message;
    }

    /// <summary>Nothing to be measured is no error where there was something to judge.</summary>
    [TestMethod]
    public void RowsWithoutResponsesHaveNoPerplexity()
    {
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama, generation: new() { MaxNewTokens = 1 });
        IDataView data = s_ml.Data.LoadFromEnumerable(new[] { new TinyTask.Row { Prompt = "2 + 2?", Response = "" } });

        SorsaEvaluation evaluation = s_ml.Sorsa().Evaluate(model, data, new EvaluationOptions { Grader = AnswerGraders.LastNumber });

        Assert.IsTrue(double.IsNaN(evaluation.Perplexity!.Value));
        Assert.AreEqual((1, 0L), (evaluation.Failed, evaluation.ResponseTokens));
    }

    /// <summary>The defaults of the options are those of the trainer.</summary>
    [TestMethod]
    public void DefaultsAreTheTrainers()
    {
        var options = new EvaluationOptions();
        var trainer = new Options();

        Assert.AreEqual(trainer.ResponseColumnName, options.GoldColumnName);
        Assert.AreEqual(trainer.MaxResponseLength, options.MaxResponseLength);
        Assert.IsTrue(options.Perplexity && options.ResponseColumnName is null && options.Grader is null);
    }

    private static XElement Page(string path) => XElement.Parse(File.ReadAllText(path)["<!DOCTYPE html>\n".Length..]);

    private sealed class Both
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";

        public string Gold { get; set; } = "";
    }

    private sealed class Listener(Action<Sorsa.Training.SorsaTrainingProgress> listen) : IProgress<Sorsa.Training.SorsaTrainingProgress>
    {
        public void Report(Sorsa.Training.SorsaTrainingProgress value) => listen(value);
    }
}
