using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Tensors;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Files;

/// <summary>The safetensors file of an adapter, read into memory.</summary>
internal static class AdapterTensorFile
{
    /// <summary>A file's tensors, copied into memory, by projection and by their names there. The caller owns them.</summary>
    /// <param name="path">The safetensors file.</param>
    /// <param name="place">Which tensor of which projection each of the file's names is.</param>
    /// <exception cref="InvalidDataException">
    /// Two names are the same tensor of the same projection; a value is not finite; the file is damaged.
    /// </exception>
    public static SortedDictionary<string, IReadOnlyDictionary<string, Tensor>> Read(
        string path, Func<IEnumerable<string>, IEnumerable<(string Name, string Projection, string Tensor)>> place)
    {
        using Checkpoint checkpoint = Checkpoint.OpenFile(path);
        (string Name, string Projection, string Tensor)[] places = [.. place(checkpoint.Names)];
        if (places.CountBy(placed => (placed.Projection, placed.Tensor)).FirstOrDefault(placed => placed.Value > 1)
            is { Value: > 1 } twice)
        {
            throw new InvalidDataException(
                $"'{path}' holds {twice.Key.Tensor} of '{twice.Key.Projection}' more than once. Write the adapter again.");
        }

        string[] broken = [.. checkpoint.Tensors.Where(named => !TensorValues.AreFinite(named.Value)).Select(named => named.Key)];
        if (broken.Length > 0)
        {
            throw new InvalidDataException(
                $"'{path}' is corrupt: values are not finite in {NameList.Join(broken)}. Copy or fetch it again; "
                + "where it was written so, its training diverged: train it again.");
        }

        var tensors = new SortedDictionary<string, IReadOnlyDictionary<string, Tensor>>(StringComparer.Ordinal);
        foreach (IGrouping<string, (string Name, string Projection, string Tensor)> projection in
            places.GroupBy(placed => placed.Projection, StringComparer.Ordinal))
        {
            tensors[projection.Key] = projection.ToDictionary(
                placed => placed.Tensor,
                placed => checkpoint.Tensors[placed.Name].clone().DetachFromDisposeScope(),
                StringComparer.Ordinal);
        }

        return tensors;
    }
}
