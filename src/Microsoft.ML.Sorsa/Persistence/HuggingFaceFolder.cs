using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Models;

namespace Microsoft.ML.Sorsa.Persistence;

/// <summary>Writes a model as a folder that any Hugging Face tool reads: config.json, safetensors and the tokenizer's files.</summary>
internal static class HuggingFaceFolder
{
    /// <param name="model">The model.</param>
    /// <param name="folder">A new folder, or an empty one; it appears when everything in it is written.</param>
    /// <exception cref="ArgumentException">The folder exists and is not empty.</exception>
    public static void Write(TextModel model, string folder)
    {
        using var target = new NewFolder(folder, nameof(folder));
        target.WriteFile(DecoderConfig.FileName, stream => stream.Write(model.Network.Config.JsonFor(model.SavedType)));
        model.TokenizerFiles.WriteTo(target);
        CheckpointWriter.WriteFolder(target, model.Network.NamedWeights, model.SavedType);
        target.Commit();
    }
}
