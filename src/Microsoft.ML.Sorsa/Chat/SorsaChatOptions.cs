using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Chat;

/// <summary>How a chat client over a fine-tuned model works; what single requests may say, they say in <c>ChatOptions</c>.</summary>
public sealed record SorsaChatOptions
{
    /// <summary>What the model is called in metadata, responses and telemetry. Default <c>sorsa</c>; not empty.</summary>
    public string ModelId
    {
        get;
        init => field = !string.IsNullOrWhiteSpace(value)
            ? value
            : throw new ArgumentException($"{nameof(ModelId)} is empty; give the model a name, or leave it out.", nameof(ModelId));
    } = "sorsa";

    /// <summary>
    /// How messages become the text that the model reads. Null, the default: as the model was trained, or as its zip says; where nobody
    /// chose a template, because <c>LoadModel</c> was called without one, the tokenizer's chat template, if it has one.
    /// </summary>
    /// <remarks>
    /// <see cref="PromptTemplate.Chat"/> is the tokenizer's chat template. With a <see cref="PromptTemplate.Format"/> every message of the
    /// user stands where a row's prompt stood in training, every answer behind it, then the next, as one row after the other; what the
    /// system says goes in front of the first message of the user, with an empty line between.
    /// </remarks>
    public PromptTemplate? Template { get; init; }

    /// <summary>
    /// How many requests are decoded together; others wait, first come first. It changes speed and memory. Default 8; range 1 to 4096.
    /// </summary>
    public int BatchSize
    {
        get;
        init => field = value is >= 1 and <= 4096
            ? value
            : throw OptionRange.Error(nameof(BatchSize), value, "from 1 to 4096", "Use 1 to answer one request after the other");
    } = 8;

    /// <summary>
    /// Of how many tokens keys and values stay in memory when an answer is done, all conversations together: a next turn, or another
    /// conversation under the same instructions, then reads only what is new. Those not used for longest go first. Default 4096; range 0,
    /// which keeps none, and above.
    /// </summary>
    /// <remarks>
    /// A token takes 2 · layers · key-value heads · head size numbers of the compute type: 45 KiB for SmolLM2-135M in float32, 256 KiB for
    /// Llama 3 8B.
    /// </remarks>
    public int KeptTokens
    {
        get;
        init => field = value >= 0
            ? value
            : throw OptionRange.Error(nameof(KeptTokens), value, "at least 0", "Use 0 to keep nothing");
    } = 4096;
}
