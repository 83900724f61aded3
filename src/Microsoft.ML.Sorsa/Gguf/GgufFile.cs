using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Gguf;

/// <summary>
/// Writes GGUF, version 3: the head (metadata, and of each tensor its name, sizes, type and place), then the tensors, each at a multiple
/// of 32 bytes. Sizes stand the other way round than torch's: the one in which neighbours follow each other comes first.
/// </summary>
internal static class GgufFile
{
    private const uint Version = 3;
    private const int Alignment = 32;

    /// <summary>Writes a file that appears when it is whole.</summary>
    /// <param name="path">The file, in a folder that is there; it replaces a file of that name.</param>
    /// <param name="metadata">What stands in front.</param>
    /// <param name="tensors">In their order.</param>
    /// <exception cref="ArithmeticException">A value is not finite, or not in its type.</exception>
    /// <exception cref="IOException">It cannot be written: the folder is not there, the disk is full, ...</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder must not be written.</exception>
    public static void Write(string path, GgufMetadata metadata, IReadOnlyList<GgufTensor> tensors)
    {
        byte[] head = Head(metadata, tensors);
        long size = head.Length + tensors.Sum(tensor => Aligned(tensor.ByteCount));
        NewFile.Write(path, stream => Write(stream, head, tensors), size);
    }

    private static void Write(Stream stream, byte[] head, IReadOnlyList<GgufTensor> tensors)
    {
        // Ranges before the first is written: a file that cannot be finished takes as long as it is large.
        foreach (GgufTensor tensor in tensors)
        {
            TensorBytes.VerifyRange(tensor);
        }

        stream.Write(head);
        foreach (GgufTensor tensor in tensors)
        {
            TensorBytes.Write(tensor, stream);
            stream.Write(new byte[Aligned(tensor.ByteCount) - tensor.ByteCount]);
        }
    }

    private static byte[] Head(GgufMetadata metadata, IReadOnlyList<GgufTensor> tensors)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes);
        writer.Write("GGUF"u8);
        writer.Write(Version);
        writer.Write((ulong)tensors.Count);
        writer.Write((ulong)metadata.Count);
        metadata.WriteTo(writer);
        long at = 0;
        foreach (GgufTensor tensor in tensors)
        {
            GgufMetadata.WriteText(writer, tensor.Name);
            writer.Write((uint)tensor.Values.dim());
            foreach (long side in tensor.Values.shape.Reverse())
            {
                writer.Write((ulong)side);
            }

            writer.Write((uint)tensor.Type);
            writer.Write((ulong)at);
            at += Aligned(tensor.ByteCount);
        }

        writer.Write(new byte[Aligned(bytes.Length) - bytes.Length]);
        return bytes.ToArray();
    }

    private static long Aligned(long length) => (length + Alignment - 1) / Alignment * Alignment;
}
