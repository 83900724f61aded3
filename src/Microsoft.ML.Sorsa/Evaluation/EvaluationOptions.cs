using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>
/// What an evaluation of a model asks: whether its answers are right (<see cref="Grader"/>), how likely it finds the answers that were to
/// be given (<see cref="Perplexity"/>), or both.
/// </summary>
public sealed class EvaluationOptions
{
    /// <summary>
    /// Judges one answer; <see cref="AnswerGraders"/> has the ready ones. Default null: nothing is generated and judged, which is what
    /// takes the time.
    /// </summary>
    public IAnswerGrader? Grader { get; set; }

    /// <summary>The column of text with the references; what they must hold, the grader says. Default Response.</summary>
    [OptionRequired("Name the column with the references")]
    public string GoldColumnName { get; set; } = "Response";

    /// <summary>Whether the perplexity of the responses is wanted. Default true.</summary>
    public bool Perplexity { get; set; } = true;

    /// <summary>
    /// The column of text with the responses whose perplexity is wanted: whole texts, such as the model should write them. Default null:
    /// that of <see cref="GoldColumnName"/>.
    /// </summary>
    public string? ResponseColumnName { get; set; }

    /// <summary>
    /// Tokens of a response, the end token included, before its end is cut, as in training: with the training's own number ln(perplexity)
    /// is its validation loss on the same rows, where it has TrainedTokens and EndToken at their defaults. Default 512; at least 1.
    /// </summary>
    [OptionRange(1, int.MaxValue, "Choose a larger number")]
    public int MaxResponseLength { get; set; } = 512;

    /// <summary>Ends the evaluation between two batches.</summary>
    public CancellationToken CancellationToken { get; set; }

    internal void Verify()
    {
        OptionRange.Verify(this);
        OptionRange.Fit(
            Grader is not null || Perplexity, nameof(Grader), null, $"{nameof(Perplexity)} is false: nothing is asked",
            "Set a grader, such as AnswerGraders.LastNumber, or Perplexity to true");
        OptionRange.Fit(
            ResponseColumnName is null || !string.IsNullOrWhiteSpace(ResponseColumnName), nameof(ResponseColumnName),
            $"'{ResponseColumnName}'", "it must be a column's name", "Leave it null for the references' column");
    }
}
