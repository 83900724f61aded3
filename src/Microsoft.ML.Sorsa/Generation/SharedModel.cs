using Microsoft.ML.Sorsa.Data;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>A model that several use, who take turns.</summary>
/// <param name="Model">Not owned.</param>
/// <param name="Prompts">Its tokenizer, and what stood around a prompt when it was trained or loaded.</param>
/// <param name="Generator">Generates as it was told to, with these prompts.</param>
/// <param name="Adapters">The names of the adapters that it has now, and of the one in use; null: none is.</param>
/// <param name="Take">
/// Acts when the turn has come, with the weights of the adapter of that name, or of none, in place. Throws where the model was disposed of.
/// </param>
internal sealed record SharedModel(
    ILanguageModel Model, PromptEncoder Prompts, TextGenerator Generator,
    Func<(IReadOnlyList<string> Names, string? Active)> Adapters, Action<string?, Action> Take)
{
    /// <summary>How it generates where nothing else is said.</summary>
    public GenerationOptions Generation => Generator.Options;
}
