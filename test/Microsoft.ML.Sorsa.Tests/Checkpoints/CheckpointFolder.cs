using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Checkpoints;

/// <summary>A folder with a checkpoint and nothing else in it.</summary>
internal static class CheckpointFolder
{
    /// <param name="path">A new folder, or an empty one.</param>
    /// <param name="tensors">The checkpoint.</param>
    /// <param name="type">What it is stored in.</param>
    /// <param name="shardSize">The most bytes of a file.</param>
    public static void Write(
        string path, IReadOnlyList<KeyValuePair<string, Tensor>> tensors, ScalarType type,
        long shardSize = CheckpointWriter.DefaultShardSize)
    {
        using var folder = new NewFolder(path, nameof(path));
        CheckpointWriter.WriteFolder(folder, tensors, type, shardSize);
        folder.Commit();
    }
}
