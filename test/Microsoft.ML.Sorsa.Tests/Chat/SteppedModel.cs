using Microsoft.ML.Sorsa.Generation;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>
/// A model that always says the same, of which a test sees and holds every step: <paramref name="step"/> is called on the decoding thread
/// with the first ids of the prompts that are decoded together.
/// </summary>
internal sealed class SteppedModel(int vocabularySize, int said, Action<int[]> step) : ILanguageModel
{
    public int VocabularySize => vocabularySize;

    public int MaxPositions => 10_000;

    public IReadOnlyList<int> EndTokenIds => [];

    /// <summary>The first ids of prompts that were read.</summary>
    public List<int> Read { get; } = [];

    /// <summary>A row whose prompt begins with this id gets scores that are no numbers.</summary>
    public int Broken { get; init; } = -1;

    public IDecoding Start(int room, PrefixCache? prefixes = null) => new Decoding(this, said, step);

    private sealed class Decoding(SteppedModel model, int said, Action<int[]> step) : IDecoding
    {
        private readonly List<int> _rows = [];

        public IPromptReading Begin(IReadOnlyList<int[]> prompts, int? tokens = null) => new Reading(this, prompts);

        public void Join(IPromptReading prompts) => _rows.AddRange(((Reading)prompts).Rows);

        public Tensor Next(long[] ids)
        {
            step([.. _rows]);
            return Say(_rows);
        }

        public void Remove(IReadOnlyList<(int Row, int[]? Kept)> rows)
        {
            foreach ((int row, _) in rows.Reverse())
            {
                _rows.RemoveAt(row);
            }
        }

        public void Dispose()
        {
        }

        private Tensor Say(IEnumerable<int> decoded)
        {
            int[] rows = [.. decoded];
            var scores = new float[rows.Length, model.VocabularySize];
            foreach ((int at, int row) in rows.Index())
            {
                scores[at, said] = row == model.Broken ? float.NaN : 1;
            }

            return tensor(scores);
        }

        private sealed class Reading(Decoding decoding, IReadOnlyList<int[]> prompts) : IPromptReading
        {
            public int[] Rows { get; } = [.. prompts.Select(prompt => prompt[0])];

            public IReadOnlyList<int> KeptTokens => new int[Rows.Length];

            public Tensor? Read(int tokens)
            {
                decoding.Model.Read.AddRange(Rows);
                return decoding.Say(Rows);
            }

            public void Dispose()
            {
            }
        }

        private SteppedModel Model => model;
    }
}
