using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Persistence;
using Microsoft.ML.Sorsa.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Gguf;

/// <summary>A whole model as one GGUF file.</summary>
internal static class ModelFile
{
    /// <param name="model">The model; its weights are read where they lie, some rows at a time.</param>
    /// <param name="path">The file.</param>
    /// <param name="type">What its matrices become.</param>
    /// <param name="preTokenizer">See <see cref="GgufTokenizer.Add"/>.</param>
    /// <param name="warn">Told what llama.cpp will do otherwise.</param>
    /// <exception cref="NotSupportedException">llama.cpp has no such model or tokenizer.</exception>
    public static void Write(TextModel model, string path, GgufType type, string? preTokenizer, Action<string> warn)
    {
        var metadata = new GgufMetadata();
        GgufArchitecture.Add(metadata, model.Network.Config, Path.GetFileNameWithoutExtension(path), type);
        var tokenizer = new GgufTokenizer((TextTokenizer)model.Prompts.Tokenizer, model.Network.Spec.VocabularySize);
        tokenizer.Add(metadata, preTokenizer);
        AddEndTokens(tokenizer, metadata, model);
        using DisposeScope scope = NewDisposeScope();
        GgufFile.Write(path, metadata, ModelTensors.Of(model.Network, type));
        foreach (string difference in tokenizer.Differences)
        {
            warn($"llama.cpp treats some texts otherwise than the model's tokenizer does: {difference}.");
        }
    }

    /// <summary>The tokens that end an answer here, the tokenizer's own first.</summary>
    private static void AddEndTokens(GgufTokenizer written, GgufMetadata metadata, TextModel model)
    {
        ITextTokenizer tokenizer = model.Prompts.Tokenizer;
        int?[] named = [tokenizer.EosTokenId, model.Prompts.EndOfTurnId];
        int[] ends =
        [
            .. named.OfType<int>().Concat(EndOfTurnTokens.In(tokenizer))
                .Concat(model.Network.Config.EosTokenIds)
                .Concat(GenerationConfig.EndTokens(tokenizer.Files))
                .Where(id => id < model.Network.Spec.VocabularySize)
                .Distinct(),
        ];
        if (ends.Length == 0)
        {
            throw new NotSupportedException(
                "No token is named that ends a text, and llama.cpp takes an ordinary one then. Name it: eos_token_id in config.json, or "
                + "eos_token in tokenizer_config.json.");
        }

        written.AddEndTokens(metadata, ends[0], ends.Length > 1 ? ends[1..] : ends);
    }
}
