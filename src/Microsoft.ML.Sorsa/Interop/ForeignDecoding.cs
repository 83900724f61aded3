using Microsoft.ML.Sorsa.Generation;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Interop;

/// <summary>Decodes without a cache: each row alone, its whole text anew for every token. Slow, and right for any model.</summary>
internal sealed class ForeignDecoding(ForeignModel model, IReadOnlyList<int[]> prompts) : IDecoding
{
    private readonly List<long>[] _texts = [.. prompts.Select(prompt => prompt.Select(id => (long)id).ToList())];

    public Tensor Prefill() => Scores(new bool[_texts.Length]);

    public Tensor Next(long[] ids, bool[] finished)
    {
        for (int row = 0; row < ids.Length; row++)
        {
            _texts[row].Add(ids[row]);
        }

        return Scores(finished);
    }

    public void Dispose()
    {
        // The texts are lists; the model is the user's.
    }

    /// <summary>What follows the last token of every row; zeros for a row that is finished.</summary>
    private Tensor Scores(bool[] finished)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();

        // Whatever mode the user has it in, an answer has no dropout in it.
        bool training = model.Module.training;
        model.train(false);
        try
        {
            return scope.MoveToOuter(ScoresInEvaluation(finished));
        }
        finally
        {
            model.train(training);
        }
    }

    private Tensor ScoresInEvaluation(bool[] finished)
    {
        Tensor scores = zeros(_texts.Length, model.VocabularySize, ScalarType.Float32);
        for (int row = 0; row < _texts.Length; row++)
        {
            if (!finished[row])
            {
                using var one = NewDisposeScope();
                Tensor ids = tensor(_texts[row].ToArray(), [1, _texts[row].Count], device: model.Device);
                scores[row].copy_(model.Logits(ids)[0, -1]);
            }
        }

        return scores;
    }
}
