using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;

namespace Microsoft.ML.Sorsa.Memory;

/// <summary>
/// What the scores and the loss take, in bytes. V is the vocabulary and n the labelled tokens that are scored at a time: all of them, or a
/// chunk.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="chunkSize">The most labelled tokens at a time.</param>
internal sealed class LossMemory(ModelSizes model, int chunkSize)
{
    private readonly bool _byRows = TensorData.IsReadable(model.Type, model.OnCpu);

    /// <summary>Bytes of a score in libtorch's softmax.</summary>
    private readonly long _wide = Math.Max(model.TypeSize, sizeof(float));

    private DecoderSpec Spec => model.Spec;

    /// <summary>
    /// In backward n · V scores in the type to compute in and their gradient; where libtorch computes the loss, in float32 the logarithms
    /// of the probabilities and their gradient, too. Beside them the hidden states at all labels, their gradient, and then that of all
    /// tokens.
    /// </summary>
    public long Training(BatchSizes batch) => (Scores(batch) * (model.TypeSize + (_byRows ? model.TypeSize : 3 * _wide)))
        + (((2 * batch.Labels) + batch.Tokens) * Spec.HiddenSize * model.TypeSize) + Widened(batch);

    /// <summary>Without gradients the scores; libtorch's in float32, too, and the logarithms of their probabilities.</summary>
    public long Evaluating(BatchSizes batch) =>
        (Scores(batch) * (model.TypeSize + (_byRows ? 0 : _wide + (model.TypeSize < _wide ? _wide : 0)))) + Widened(batch);

    private long Scores(BatchSizes batch) => AtATime(batch) * Spec.VocabularySize;

    private long AtATime(BatchSizes batch) => Math.Min(batch.Labels, chunkSize);

    /// <summary>What is converted of head, scores and hidden states at a time, where their type is not multiplied.</summary>
    private long Widened(BatchSizes batch)
    {
        (long tokens, long hidden) = (AtATime(batch), Spec.HiddenSize);
        long values = WideLinear.Working(Spec.VocabularySize, hidden, tokens) + (tokens * hidden);
        return model.ProductSize > model.TypeSize ? values * model.ProductSize : 0;
    }
}
