using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Chat;

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
}
