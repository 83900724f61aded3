using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tokenization;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Persistence;

/// <summary>All that a text transformer is made of, and all that is saved of it.</summary>
/// <param name="Network">The plain decoder; every projection is merged.</param>
/// <param name="Prompts">Tokenizer and prompt template.</param>
/// <param name="Generation">How it generates.</param>
/// <param name="SavedType">What the weights are stored in; they are rounded to it already.</param>
/// <param name="PromptColumnName">The column that is read.</param>
/// <param name="OutputColumnName">The column that is added.</param>
internal sealed record TextModel(
    CausalLM Network, PromptEncoder Prompts, GenerationOptions Generation, ScalarType SavedType, string PromptColumnName,
    string OutputColumnName)
{
    /// <summary>The folder that it was loaded from; null: a zip, which does not say.</summary>
    public ModelOrigin? Origin { get; init; }

    /// <summary>The tokenizer's, which are saved as they were read: that of a model of ours is always from files.</summary>
    public TokenizerFiles TokenizerFiles => Prompts.Tokenizer.Files!;

    /// <summary>What the weights take in a file.</summary>
    public long WeightBytes => Network.NamedWeights.Sum(weight => weight.Value.numel() * SafetensorsType.Of(SavedType).Bits / 8);
}
