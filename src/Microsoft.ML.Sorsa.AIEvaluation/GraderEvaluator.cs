using Microsoft.Extensions.AI;
using Microsoft.Extensions.AI.Evaluation;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>Asks the grader, and says in the other library's words what it found.</summary>
internal sealed class GraderEvaluator(IAnswerGrader grader) : IEvaluator
{
    private readonly string _name = grader.Name;

    public IReadOnlyCollection<string> EvaluationMetricNames => [_name];

    public ValueTask<EvaluationResult> EvaluateAsync(
        IEnumerable<ChatMessage> messages, ChatResponse modelResponse, ChatConfiguration? chatConfiguration = null,
        IEnumerable<EvaluationContext>? additionalContext = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(modelResponse);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<EvaluationResult>(cancellationToken);
        }

        var metric = new BooleanMetric(_name);
        ReferenceAnswerContext[] references = [.. (additionalContext ?? []).OfType<ReferenceAnswerContext>()];
        metric.AddOrUpdateContext(references);
        if (references is not [{ ReferenceAnswer: { } gold }])
        {
            Fail(metric, references.Length == 0
                ? $"There is no {nameof(ReferenceAnswerContext)} in {nameof(additionalContext)}: pass one with the reference."
                : FormattableString.Invariant(
                    $"There are {references.Length} {nameof(ReferenceAnswerContext)} in {nameof(additionalContext)}: pass one."));
        }
        else if (string.IsNullOrWhiteSpace(gold))
        {
            Fail(metric, $"The {nameof(ReferenceAnswerContext)} is blank: there is no reference to compare with.");
        }
        else
        {
            Judge(metric, modelResponse.Text, gold);
        }

        return ValueTask.FromResult(new EvaluationResult(metric));
    }

    private void Judge(BooleanMetric metric, string text, string gold)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            metric.AddDiagnostics(EvaluationDiagnostic.Warning("The response has no text, so that there is no answer in it."));
        }

        try
        {
            Tell(metric, grader.Grade(text, gold));
        }
        catch (UnreadableGoldException unreadable)
        {
            Fail(metric, unreadable.Message);
        }
        catch (Exception thrown) when (thrown is not OutOfMemoryException)
        {
            // Whatever a grader of the user's throws is this response's, and said with it.
            Fail(metric, $"The grader {_name} threw {thrown.GetType().Name}: {thrown.Message}");
        }
    }

    private static void Tell(BooleanMetric metric, GradedAnswer graded)
    {
        metric.Value = graded.Correct;
        metric.Reason = graded.Extracted is { } extracted
            ? $"The response is read as '{extracted}', the reference as '{graded.Gold}'."
            : $"No answer is found in the response; the reference is read as '{graded.Gold}'.";
        metric.Interpretation = new EvaluationMetricInterpretation(
            graded.Correct ? EvaluationRating.Exceptional : EvaluationRating.Unacceptable, !graded.Correct, metric.Reason);
        metric.AddOrUpdateMetadata("reference", graded.Gold);
        if (graded.Extracted is not null)
        {
            metric.AddOrUpdateMetadata("extracted", graded.Extracted);
        }
    }

    private static void Fail(BooleanMetric metric, string why)
    {
        metric.AddDiagnostics(EvaluationDiagnostic.Error(why));
        metric.Interpretation = new EvaluationMetricInterpretation(EvaluationRating.Inconclusive, failed: true, why);
    }
}
