using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Gguf;

/// <summary>
/// What llama.cpp calls the way in which a byte-level tokenizer cuts texts into words (tokenizer.ggml.pre). Where the tokenizer's stages
/// are those of a known name, that is it, whatever the vocabulary. Others are known by the ids of one text, as by llama.cpp's converter.
/// </summary>
internal static class PreTokenizerNames
{
    /// <summary>The text whose ids are hashed: numbers, blanks, contractions, scripts and emoji.</summary>
    private const string Text =
        "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫️ (multiple emojis concatenated) ✅ 🦙🦙 3 33 333 3333 "
        + "33333 333333 3333333 33333333 3.3 3..3 3...3 កាន់តែពិសេសអាច😁 ?我想在apple工作1314151天～ ------======= нещо на Български "
        + "''''''```````\"\"\"\"......!!!!!!?????? I've been 'told he's there, 'RE you sure? 'M not sure I'll make it, "
        + "'D you like some tea? We'Ve a'lL";

    /// <summary>The stages of a tokenizer whose merges decide (ignore_merges false), and of one whose whole words do.</summary>
    private static readonly (string[] Stages, bool WholeWordsFirst, string Name)[] s_known =
    [
        ([PreTokenizerReader.EachDigit, SplitPattern.Gpt2], false, "smollm"),
        ([SplitPattern.Gpt2], false, "gpt-2"),
        ([SplitPattern.Qwen2], false, "qwen2"),
        ([SplitPattern.Llama3], true, "llama-bpe"),
        ([SplitPattern.Llama3], false, "smaug-bpe"),
    ];

    /// <exception cref="NotSupportedException">It is none that is known.</exception>
    public static string Find(TextTokenizer tokenizer)
    {
        TokenizerPipeline pipeline = tokenizer.Pipeline;
        string? name = s_known.FirstOrDefault(known =>
            known.WholeWordsFirst == pipeline.Model.WholeWordsFirst && known.Stages.SequenceEqual(pipeline.Stages)).Name;
        if (name is not null)
        {
            return name;
        }

        // The ids of one text are not all: SmolLM2's are the same with GPT-2's stages. A name whose stages are known is no other's.
        string hash = Hash(tokenizer);
        return PreTokenizerHashes.Names.TryGetValue(hash, out string? hashed) && s_known.All(known => known.Name != hashed)
            ? hashed
            : throw new NotSupportedException(
                $"{pipeline.File} cuts texts into words in a way that llama.cpp is not known to have (its hash is {hash}). Where you know "
                + "what llama.cpp calls it (tokenizer.ggml.pre of another GGUF file with this tokenizer), give that name as preTokenizer. "
                + "Otherwise save the model with SaveHuggingFace, and serve it with a program that reads tokenizer.json.");
    }

    /// <summary>SHA-256 of the ids as Python prints a list.</summary>
    public static string Hash(TextTokenizer tokenizer) => Convert.ToHexStringLower(SHA256.HashData(
        Encoding.UTF8.GetBytes($"[{string.Join(", ", tokenizer.Encode(Text, addSpecialTokens: true))}]")));
}
