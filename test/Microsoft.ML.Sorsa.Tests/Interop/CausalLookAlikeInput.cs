using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>
/// What the look-alikes' forward takes, with the parameters of ML.NET GenAI's CausalLMModelInput: caching is on unless it is switched off.
/// </summary>
internal sealed class CausalLookAlikeInput(
    Tensor inputIds,
    Tensor? attentionMask = null,
    Tensor? positionIds = null,
    int pastKeyValuesLength = 0,
    Tensor? inputsEmbeds = null,
    Tensor? labels = null,
    bool useCache = true,
    bool outputAttentions = false,
    bool outputHiddenStates = false)
{
    public Tensor InputIds => inputIds;

    public bool UseCache => useCache;

    /// <summary>Anything but ids was passed that has no business here: labels above all, whose loss would take the logits along.</summary>
    public bool HasMore =>
        attentionMask is not null
        || positionIds is not null
        || pastKeyValuesLength != 0
        || inputsEmbeds is not null
        || labels is not null
        || outputAttentions
        || outputHiddenStates;
}

/// <summary>What they give.</summary>
internal sealed class CausalLookAlikeOutput(Tensor? logits)
{
    public Tensor? Loss { get; set; }

    public Tensor? Logits { get; set; } = logits;
}
