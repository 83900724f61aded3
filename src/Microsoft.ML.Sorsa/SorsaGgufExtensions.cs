using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Gguf;

namespace Microsoft.ML.Sorsa;

/// <summary>Gives <see cref="SorsaTransformer"/> its <c>SaveGguf</c>.</summary>
public static class SorsaGgufExtensions
{
    /// <summary>The names that llama.cpp has for ways to cut texts into words: see <c>SaveGguf</c>.</summary>
    public static IReadOnlyList<string> PreTokenizers => KnownPreTokenizers.Names;

    /// <summary>
    /// Writes the model, with the adapter that is in use, as one GGUF file: what llama.cpp, Ollama and LLamaSharp run. Weights, tokenizer,
    /// chat template and the tokens that end an answer are in it; the prompt template of the trainer's options is not. The file is there
    /// when it is whole, and no second copy of the weights is in memory.
    /// </summary>
    /// <param name="transformer">A model from a folder or a zip.</param>
    /// <param name="path">The file, in a folder that is there; it replaces a file of that name.</param>
    /// <param name="type">
    /// What the matrices become. F16 is twice as small as F32, Q8_0 nearly four times; BF16 changes nothing of a model that is stored in
    /// it.
    /// </param>
    /// <param name="preTokenizer">
    /// What llama.cpp calls the way in which a byte-level tokenizer cuts texts into words (<c>tokenizer.ggml.pre</c>), such as llama-bpe.
    /// Null: it is found by the hash that llama.cpp's converter uses, or by the tokenizer's stages. One of <see cref="PreTokenizers"/>.
    /// Whether it is this tokenizer's is not checked: with a wrong one the file runs, and texts become other tokens.
    /// </param>
    /// <exception cref="ArgumentException">
    /// The type is none of the format's; a name is given for a tokenizer that needs none, or is none of llama.cpp's.
    /// </exception>
    /// <exception cref="NotSupportedException">
    /// llama.cpp has no such model or tokenizer; the message says what to do. The model is an object of the user's own class.
    /// </exception>
    /// <exception cref="ArithmeticException">A weight is not finite, or too large for the type.</exception>
    /// <exception cref="IOException">The file cannot be written: its folder is not there, the disk is full, ...</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder must not be written.</exception>
    public static void SaveGguf(
        this SorsaTransformer transformer, string path, GgufType type = GgufType.F16, string? preTokenizer = null)
    {
        ArgumentNullException.ThrowIfNull(transformer);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        OptionRange.VerifyDefined(type, nameof(type));
        if (preTokenizer is not null)
        {
            KnownPreTokenizers.Verify(preTokenizer, nameof(preTokenizer));
        }

        transformer.Write((model, host) =>
        {
            using IChannel channel = host.Start(nameof(SaveGguf));
            ModelFile.Write(model, path, type, preTokenizer, message => channel.Warning(MessageSensitivity.None, message));
        });
    }
}
