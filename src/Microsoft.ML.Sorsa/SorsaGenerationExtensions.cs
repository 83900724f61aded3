using Microsoft.ML.Sorsa.Generation;

namespace Microsoft.ML.Sorsa;

/// <summary>Answers to many prompts, without columns.</summary>
public static class SorsaGenerationExtensions
{
    /// <summary>
    /// The answers to many prompts, in their order, each as soon as it and those before it are finished.
    /// <see cref="GenerationOptions.BatchSize"/> texts are decoded together at a time; where one is finished the next takes its place, so
    /// that a short answer does not wait for a long one beside it. In greedy decoding they are what
    /// <see cref="SorsaTransformer.Generate(string)"/> gives.
    /// </summary>
    /// <param name="model">Stays the caller's. All answers are with the adapter that is in use when the first is asked for.</param>
    /// <param name="prompts">
    /// Without their template. A collection is looked at first, so that what is refused is refused before anything is generated; any other
    /// sequence is read as there is need, some more than a batch ahead, and kept nowhere.
    /// </param>
    /// <param name="cancellationToken">Checked before every token.</param>
    /// <returns>Lazy; each enumeration decodes anew, on a thread of its own, which ends with it.</returns>
    /// <exception cref="ArgumentException">
    /// A prompt leaves no room in the model's positions, or has a token that the model lacks; it is named by its number, from 1.
    /// </exception>
    /// <exception cref="OperationCanceledException">While the answers are asked for: it was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">While the answers are asked for: the model was disposed of.</exception>
    public static IEnumerable<string> Generate(
        this SorsaTransformer model, IEnumerable<string> prompts, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(prompts);
        var sequence = new PromptSequence(model.Share(), typeof(SorsaTransformer));
        if (prompts is IReadOnlyCollection<string>)
        {
            sequence.Verify(prompts);
        }

        return sequence.Answer(prompts, cancellationToken);
    }
}
