using Microsoft.ML.Sorsa.Generation;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>A model that says what it is told to, token by token, whatever it is asked.</summary>
internal sealed class ScriptedModel(int vocabularySize, params int[] script) : ILanguageModel
{
    public int VocabularySize => vocabularySize;

    public int MaxPositions => 100_000;

    public IReadOnlyList<int> EndTokenIds => [];

    public IDecoding Start(IReadOnlyList<int[]> prompts, int maxNewTokens) => new Decoding(this, prompts.Count, script);

    private sealed class Decoding(ScriptedModel model, int rows, int[] script) : IDecoding
    {
        private int _said;

        public Tensor Prefill() => Say();

        public Tensor Next(long[] ids, bool[] finished) => Say();

        public void Dispose()
        {
        }

        private Tensor Say()
        {
            var scores = new float[rows, model.VocabularySize];
            for (int row = 0; row < rows; row++)
            {
                scores[row, script[_said]] = 1;
            }

            _said++;
            return tensor(scores);
        }
    }
}
