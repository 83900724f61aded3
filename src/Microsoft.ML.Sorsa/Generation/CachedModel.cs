using Microsoft.ML.Sorsa.Models;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>A decoder of ours, which keeps the keys and values of what it read and decodes rows in batches.</summary>
/// <param name="model">Not owned. Adapters with dropout must have been put into evaluation mode.</param>
internal sealed class CachedModel(CausalLM model) : ILanguageModel
{
    public int VocabularySize => model.Spec.VocabularySize;

    public int MaxPositions => model.Spec.MaxPositions;

    public IReadOnlyList<int> EndTokenIds => model.Config.EosTokenIds;

    public IDecoding Start(IReadOnlyList<int[]> prompts, int maxNewTokens) => new DecodingBatch(model, prompts, maxNewTokens);
}
