using Microsoft.Extensions.AI.Evaluation;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>
/// The reference that a response is compared with, as the context that <see cref="AnswerGraderExtensions.AsEvaluator"/> asks for.
/// </summary>
public sealed class ReferenceAnswerContext : EvaluationContext
{
    private const string ContextName = "Reference Answer";

    /// <summary>For one response.</summary>
    /// <param name="referenceAnswer">
    /// What it must hold, the grader says: GSM-8K's whole answer, a solution with a box, or the answer alone.
    /// </param>
    /// <exception cref="ArgumentNullException">It is null.</exception>
    public ReferenceAnswerContext(string referenceAnswer)
        : base(ContextName, Given(referenceAnswer)) => ReferenceAnswer = referenceAnswer;

    /// <summary>The reference as it stands in the data.</summary>
    public string ReferenceAnswer { get; }

    private static string Given(string referenceAnswer)
    {
        ArgumentNullException.ThrowIfNull(referenceAnswer);
        return referenceAnswer;
    }
}
