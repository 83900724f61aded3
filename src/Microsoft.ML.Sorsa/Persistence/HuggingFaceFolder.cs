using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Models;

namespace Microsoft.ML.Sorsa.Persistence;

/// <summary>Writes a model as a folder that any Hugging Face tool reads: config.json, safetensors and the tokenizer's files.</summary>
internal static class HuggingFaceFolder
{
    /// <param name="model">The model.</param>
    /// <param name="folder">A new folder, or an empty one; config.json, which makes it a model, appears when everything is written.</param>
    /// <param name="card">README.md.</param>
    /// <exception cref="ArgumentException">The folder exists and is not empty.</exception>
    /// <exception cref="IOException">It cannot be written: the disk is full, ...</exception>
    /// <exception cref="UnauthorizedAccessException">It must not be written.</exception>
    public static void Write(TextModel model, string folder, byte[] card)
    {
        using var target = new NewFolder(folder, nameof(folder));
        target.VerifyRoom(model.WeightBytes);
        model.TokenizerFiles.WriteTo(target);
        CheckpointWriter.WriteFolder(target, model.Network.NamedWeights, model.SavedType);
        target.WriteFile(ModelLicense.CardFile, stream => stream.Write(card));
        target.WriteFile(DecoderConfig.FileName, stream => stream.Write(model.Network.Config.JsonFor(model.SavedType)));
        target.Commit();
    }
}
