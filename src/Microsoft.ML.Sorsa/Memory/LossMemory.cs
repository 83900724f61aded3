using Microsoft.ML.Sorsa.Models;

namespace Microsoft.ML.Sorsa.Memory;

/// <summary>
/// What the scores and the loss take, in bytes. V is the vocabulary and N the labelled tokens, or those of a chunk where the scores are
/// computed in chunks.
/// </summary>
internal sealed class LossMemory(ModelSizes model)
{
    /// <summary>Bytes of a score in the softmax.</summary>
    private readonly long _wide = Math.Max(model.TypeSize, sizeof(float));

    private DecoderSpec Spec => model.Spec;

    /// <summary>
    /// In backward the logarithms of the probabilities, their gradient and the scores' stand beside each other: 3 · N · V numbers of
    /// float32. Beside them the hidden states at the labels, and their gradient for all tokens.
    /// </summary>
    public long Training(BatchSizes batch) =>
        (3 * batch.Labels * Spec.VocabularySize * _wide)
        + (((2 * batch.Labels) + batch.Tokens) * Spec.HiddenSize * model.TypeSize);

    /// <summary>Without gradients the scores, in float32 too, and the logarithms of their probabilities.</summary>
    public long Evaluating(BatchSizes batch) =>
        batch.Labels * Spec.VocabularySize * (model.TypeSize + _wide + (model.TypeSize < _wide ? _wide : 0));
}
