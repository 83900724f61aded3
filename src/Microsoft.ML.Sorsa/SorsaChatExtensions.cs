using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Chat;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa;

/// <summary>A model for programs that know Microsoft.Extensions.AI alone: Agent Framework, Semantic Kernel, ASP.NET services.</summary>
public static class SorsaChatExtensions
{
    /// <summary>
    /// The model as a chat client. Calls of any thread are decoded together, each with its own options; of a conversation that goes on only
    /// what is new is read.
    /// </summary>
    /// <param name="model">
    /// Stays the caller's: the client is disposed of before it. A request answers with the adapter that is in use when its turn comes, or
    /// with the one that its <c>ChatOptions.ModelId</c> names.
    /// </param>
    /// <param name="options">How the client works; null: as the defaults say.</param>
    /// <returns>
    /// One client for a whole program: requests to different clients are not decoded together. Dispose ends its thread and frees what it
    /// keeps.
    /// </returns>
    /// <exception cref="NotSupportedException">
    /// The tokenizer's chat template is needed and is not a known one: <see cref="SorsaChatOptions.Template"/> says what to do.
    /// </exception>
    /// <exception cref="ArgumentException">The tokenizer's chat template is asked for, and there is none.</exception>
    public static IChatClient AsChatClient(this SorsaTransformer model, SorsaChatOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new SorsaChatClient(model.Share(), model, options ?? new SorsaChatOptions());
    }

    /// <summary>
    /// The model's hidden states as vectors of texts: what its last layer, behind the final norm, makes of the text's tokens. No prompt
    /// template stands around a text; BOS stands in front where the tokenizer puts one.
    /// </summary>
    /// <param name="model">Stays the caller's. A text is read with the adapter that is in use.</param>
    /// <param name="pooling">From the text's tokens to one vector, as long as the model's hidden size and not normalised.</param>
    /// <param name="modelId">What the model is called in metadata and results.</param>
    /// <remarks>
    /// They are the states of a model that was trained to predict the next token, not of one that was trained so that texts of like meaning
    /// have like vectors: good to compare texts within a narrow field, or as input of a classifier; worse than a trained embedding model in
    /// search.
    /// </remarks>
    /// <exception cref="NotSupportedException">The model is an object of the user's own class.</exception>
    public static IEmbeddingGenerator<string, Embedding<float>> AsEmbeddingGenerator(
        this SorsaTransformer model, EmbeddingPooling pooling = EmbeddingPooling.Mean, string modelId = "sorsa")
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrWhiteSpace(modelId);
        OptionRange.VerifyDefined(pooling, nameof(pooling));
        return new SorsaEmbeddingGenerator(model.Share(), model, pooling, modelId);
    }
}
