using Microsoft.Extensions.AI;
using Microsoft.Extensions.AI.Evaluation;
using Microsoft.ML.Sorsa.Evaluation;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>Graders as evaluators, asked as an application's tests ask them: alone, and among others.</summary>
[TestClass]
[TestCategory("Evaluation")]
public sealed class GraderEvaluatorTests
{
    private static readonly ChatMessage[] s_question = [new(ChatRole.User, "How many eggs?")];

    [TestMethod]
    [DataRow("She sells 18 eggs.", true, "18", EvaluationRating.Exceptional)]
    [DataRow("She sells 17 eggs.", false, "17", EvaluationRating.Unacceptable)]
    [DataRow("She sells them all.", false, null, EvaluationRating.Unacceptable)]
    public async Task AResponseHasItsVerdictAndWhatWasRead(string response, bool right, string? extracted, EvaluationRating rating)
    {
        IEvaluator evaluator = AnswerGraders.LastNumber.AsEvaluator();
        var reference = new ReferenceAnswerContext("16 + 2 = 18\n#### 18");

        EvaluationResult result = await evaluator.EvaluateAsync(s_question, Response(response), additionalContext: [reference]);

        Assert.AreEqual("last-number", evaluator.EvaluationMetricNames.Single());
        BooleanMetric metric = result.Get<BooleanMetric>("last-number");
        Assert.AreEqual(right, metric.Value);
        Assert.AreEqual((rating, !right), (metric.Interpretation!.Rating, metric.Interpretation.Failed));
        Assert.AreEqual("18", metric.Metadata!["reference"]);
        Assert.AreEqual(extracted, metric.Metadata.TryGetValue("extracted", out string? read) ? read : null);
        Assert.AreEqual(
            extracted is null
                ? "No answer is found in the response; the reference is read as '18'."
                : $"The response is read as '{extracted}', the reference as '18'.",
            metric.Reason);
        Assert.AreEqual(metric.Reason, metric.Interpretation.Reason);
        Assert.IsNull(metric.Diagnostics);
        Assert.AreSame(reference, metric.Context!.Values.Single());
        Assert.AreEqual("16 + 2 = 18\n#### 18", ((TextContent)reference.Contents.Single()).Text);
    }

    /// <summary>Every ready grader is one, and judges as it does by itself.</summary>
    [TestMethod]
    public async Task EveryGraderIsAnEvaluator()
    {
        IAnswerGrader[] graders = [.. typeof(AnswerGraders).GetProperties().Select(ready => (IAnswerGrader)ready.GetValue(null)!)];
        Assert.IsGreaterThan(10, graders.Length);
        const string Text = "So 9 + 9 = 18. The answer is: 18\n#### 18";

        // One that all of them read.
        const string Gold = "It is \\boxed{18}.\n#### 18";
        var together = new CompositeEvaluator(graders.Select(grader => grader.AsEvaluator()));
        EvaluationResult result = await together.EvaluateAsync(
            s_question, Response(Text), additionalContext: [new ReferenceAnswerContext(Gold)]);

        Assert.HasCount(graders.Length, result.Metrics);
        foreach (IAnswerGrader grader in graders)
        {
            Assert.AreEqual(grader.Grade(Text, Gold).Correct, result.Get<BooleanMetric>(grader.Name).Value, grader.Name);
        }

        Assert.IsTrue(result.Get<BooleanMetric>("gsm8k-strict").Value);
        Assert.IsFalse(result.Get<BooleanMetric>("exact-match").Value);
        Assert.IsFalse(result.ContainsDiagnostics());
    }

    [TestMethod]
    [DataRow("", DisplayName = "No text")]
    [DataRow(" \n", DisplayName = "White space")]
    public async Task AnEmptyResponseIsWrongAndSaysSo(string text)
    {
        BooleanMetric metric = await Evaluate(AnswerGraders.LastNumber, text, new ReferenceAnswerContext("5"));

        Assert.IsFalse(metric.Value);
        Assert.IsTrue(metric.Interpretation!.Failed);
        Assert.AreEqual(EvaluationDiagnosticSeverity.Warning, metric.Diagnostics!.Single().Severity);
    }

    public static IEnumerable<object[]> WithoutVerdict =>
    [
        [AnswerGraders.LastNumber, Array.Empty<EvaluationContext>(), "There is no ReferenceAnswerContext in additionalContext"],
        [AnswerGraders.LastNumber, new[] { new OtherContext() }, "There is no ReferenceAnswerContext in additionalContext"],
        [
            AnswerGraders.LastNumber, new[] { new ReferenceAnswerContext("5"), new ReferenceAnswerContext("6") },
            "There are 2 ReferenceAnswerContext in additionalContext: pass one.",
        ],
        [AnswerGraders.LastNumber, new[] { new ReferenceAnswerContext(" ") }, "The ReferenceAnswerContext is blank"],
        [AnswerGraders.LastNumber, new[] { new ReferenceAnswerContext("five") }, "finds no answer in the reference 'five'"],
        [new Throwing(), new[] { new ReferenceAnswerContext("5") }, "The grader throwing threw NotSupportedException: not this one"],
    ];

    [TestMethod]
    [DynamicData(nameof(WithoutVerdict))]
    public async Task WhatCannotBeJudgedHasNoVerdictAndAnError(IAnswerGrader grader, EvaluationContext[] context, string why)
    {
        BooleanMetric metric = await Evaluate(grader, "it is 5", context);

        Assert.IsNull(metric.Value);
        Assert.AreEqual((EvaluationRating.Inconclusive, true), (metric.Interpretation!.Rating, metric.Interpretation.Failed));
        EvaluationDiagnostic diagnostic = metric.Diagnostics!.Single();
        Assert.AreEqual(EvaluationDiagnosticSeverity.Error, diagnostic.Severity);
        Assert.Contains(why, diagnostic.Message);
        Assert.Contains(why, metric.Interpretation.Reason!);
    }

    [TestMethod]
    public async Task WithoutContextsThereIsNoVerdict()
    {
        EvaluationResult result = await AnswerGraders.LastNumber.AsEvaluator().EvaluateAsync(s_question, Response("5"));

        Assert.IsNull(result.Get<BooleanMetric>("last-number").Value);
        Assert.IsTrue(result.ContainsDiagnostics(diagnostic => diagnostic.Severity == EvaluationDiagnosticSeverity.Error));
    }

    /// <summary>What a model thinks before it answers is no answer: the text is what the client shows.</summary>
    [TestMethod]
    public async Task TheResponsesTextIsJudged()
    {
        var response = new ChatResponse(
        [
            new ChatMessage(ChatRole.Assistant, [new TextContent("It is "), new TextReasoningContent("7 or 8"), new TextContent("5")]),
        ]);

        EvaluationResult result = await AnswerGraders.LastNumber.AsEvaluator().EvaluateAsync(
            s_question, response, additionalContext: [new ReferenceAnswerContext("5")]);

        Assert.IsTrue(result.Get<BooleanMetric>("last-number").Value);
    }

    [TestMethod]
    public async Task WhatIsCancelledIsNotJudged()
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();

        await Assert.ThrowsAsync<OperationCanceledException>(async () => await AnswerGraders.LastNumber.AsEvaluator().EvaluateAsync(
            s_question, Response("5"), additionalContext: [new ReferenceAnswerContext("5")], cancellationToken: cancelled.Token));
    }

    [TestMethod]
    public async Task WhatIsMissingIsNamed()
    {
        Assert.AreEqual("grader", Assert.ThrowsExactly<ArgumentNullException>(() => ((IAnswerGrader)null!).AsEvaluator()).ParamName);
        Assert.Contains(
            "The grader's Name is ' '", Assert.ThrowsExactly<ArgumentException>(() => new Nameless().AsEvaluator()).Message);
        Assert.AreEqual(
            "referenceAnswer", Assert.ThrowsExactly<ArgumentNullException>(() => new ReferenceAnswerContext(null!)).ParamName);
        ArgumentNullException error = await Assert.ThrowsExactlyAsync<ArgumentNullException>(
            async () => await AnswerGraders.LastNumber.AsEvaluator().EvaluateAsync(s_question, (ChatResponse)null!));
        Assert.AreEqual("modelResponse", error.ParamName);
    }

    private static async Task<BooleanMetric> Evaluate(IAnswerGrader grader, string text, params EvaluationContext[] context)
    {
        EvaluationResult result = await grader.AsEvaluator().EvaluateAsync(s_question, Response(text), additionalContext: context);
        return result.Get<BooleanMetric>(grader.Name);
    }

    private static ChatResponse Response(string text) => new(new ChatMessage(ChatRole.Assistant, text));

    private sealed class OtherContext() : EvaluationContext("Other", "5");

    private sealed class Throwing : IAnswerGrader
    {
        public string Name => "throwing";

        public GradedAnswer Grade(string text, string gold) => throw new NotSupportedException("not this one");
    }

    private sealed class Nameless : IAnswerGrader
    {
        public string Name => " ";

        public GradedAnswer Grade(string text, string gold) => new(true, text, gold);
    }
}
