using Microsoft.Extensions.AI.Evaluation;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>Graders where Microsoft.Extensions.AI.Evaluation is at home: in unit tests of an application, and in its reports.</summary>
public static class AnswerGraderExtensions
{
    /// <summary>
    /// The grader as an evaluator. Its one metric is a <see cref="BooleanMetric"/> of the grader's name: true where the response is right,
    /// with the rating Exceptional; false, Unacceptable and failed where it is wrong. The reason says what was read as the answer, and the
    /// metadata hold it, too. No model is asked.
    /// <code>
    /// IEvaluator evaluator = AnswerGraders.Gsm8kFlexible.AsEvaluator();
    /// EvaluationResult result = await evaluator.EvaluateAsync(
    ///     messages, response, additionalContext: [new ReferenceAnswerContext("#### 18")]);
    /// bool? right = result.Get&lt;BooleanMetric&gt;(evaluator.EvaluationMetricNames.Single()).Value;
    /// </code>
    /// </summary>
    /// <remarks>
    /// The context is one <see cref="ReferenceAnswerContext"/>. Without it, with several, with one that is blank or that the grader cannot
    /// read, and where the grader throws, there is no verdict: the value is null, the rating Inconclusive and failed, and a diagnostic of
    /// severity Error says why. An empty response is wrong, as in <see cref="SorsaCatalog"/>'s Evaluate, and has a Warning beside it.
    /// </remarks>
    /// <param name="grader">Judges one answer; <see cref="AnswerGraders"/> has the ready ones.</param>
    /// <exception cref="ArgumentNullException">The grader is null.</exception>
    /// <exception cref="ArgumentException">The grader has no name, which its metric needs.</exception>
    public static IEvaluator AsEvaluator(this IAnswerGrader grader)
    {
        ArgumentNullException.ThrowIfNull(grader);
        return string.IsNullOrWhiteSpace(grader.Name)
            ? throw new ArgumentException(
                $"The grader's {nameof(grader.Name)} is '{grader.Name}'; its metric is called so and needs a name. Give it one.",
                nameof(grader))
            : new GraderEvaluator(grader);
    }
}
