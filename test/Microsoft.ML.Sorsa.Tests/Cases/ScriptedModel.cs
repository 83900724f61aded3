using Microsoft.ML.Sorsa.Generation;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>A model that says what it is told to, token by token, whatever it is asked.</summary>
internal sealed class ScriptedModel(int vocabularySize, params int[] script) : ILanguageModel
{
    public int VocabularySize => vocabularySize;

    public int MaxPositions => 100_000;

    public IReadOnlyList<int> EndTokenIds => [];

    public IDecoding Start(int room, PrefixCache? prefixes = null) => new Decoding(this, script);

    private sealed class Decoding(ScriptedModel model, int[] script) : IDecoding
    {
        private int _rows;
        private int _said;

        public IPromptReading Begin(IReadOnlyList<int[]> prompts, int? tokens = null) => new Reading(this, prompts.Count);

        public void Join(IPromptReading prompts) => _rows += prompts.KeptTokens.Count;

        public Tensor Next(long[] ids) => Say(_rows);

        public void Remove(IReadOnlyList<(int Row, int[]? Kept)> rows) => _rows -= rows.Count;

        public void Dispose()
        {
        }

        private Tensor Say(int rows)
        {
            var scores = new float[rows, model.VocabularySize];
            for (int row = 0; row < rows; row++)
            {
                scores[row, script[_said]] = 1;
            }

            _said++;
            return tensor(scores);
        }

        private sealed class Reading(Decoding decoding, int rows) : IPromptReading
        {
            public IReadOnlyList<int> KeptTokens => new int[rows];

            public Tensor? Read(int tokens) => decoding.Say(rows);

            public void Dispose()
            {
            }
        }
    }
}
