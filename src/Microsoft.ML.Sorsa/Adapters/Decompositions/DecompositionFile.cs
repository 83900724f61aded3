using System.Globalization;
using System.IO.Hashing;
using System.Text;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Decompositions;

/// <summary>
/// A kept decomposition: a safetensors file of U, s, Vt, the seconds that it took, and a checksum over these and the file's name, which
/// says what they are of.
/// </summary>
/// <param name="U">[out, r].</param>
/// <param name="S">[r], descending.</param>
/// <param name="Vt">[r, in].</param>
/// <param name="Seconds">What it took to make.</param>
internal sealed record DecompositionFile(Tensor U, Tensor S, Tensor Vt, double Seconds)
{
    private const string Checksum = "checksum", SecondsTensor = "seconds";

    /// <summary>
    /// The file's content, in the dispose scope that is open; null where there is no file, or none of this user's, or it is damaged or was
    /// altered.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="weight">The matrix that it must be of.</param>
    /// <param name="rank">r.</param>
    public static DecompositionFile? Find(string path, Tensor weight, int rank)
    {
        if (!File.Exists(path) || !PrivateFolder.IsOwn(path))
        {
            return null;
        }

        try
        {
            using Checkpoint stored = Checkpoint.OpenFile(path);
            (string Name, long[] Shape)[] expected =
            [
                ("U", [weight.shape[0], rank]), ("s", [rank]), ("Vt", [rank, weight.shape[1]]), (SecondsTensor, [1]),
                (Checksum, [XxHash128.Hash([]).Length]),
            ];
            if (stored.Names.Count != expected.Length
                || !expected.All(part => stored.Tensors.TryGetValue(part.Name, out Tensor? tensor) && tensor.dtype == weight.dtype
                    && tensor.shape.SequenceEqual(part.Shape) && TensorValues.AreFinite(tensor)))
            {
                return null;
            }

            // Copies: the file may be replaced while they are in use.
            var found = new DecompositionFile(
                stored.Tensors["U"].clone(), stored.Tensors["s"].clone(), stored.Tensors["Vt"].clone(),
                stored.Tensors[SecondsTensor].to(ScalarType.Float64).item<double>());
            return found.ChecksumFor(path, weight.dtype).equal(stored.Tensors[Checksum]).all().item<bool>() ? found : null;
        }
        catch (InvalidDataException)
        {
            // A damaged one is made again.
            return null;
        }
    }

    /// <summary>Writes it; a file that is there is replaced.</summary>
    /// <param name="path">The file.</param>
    /// <param name="type">The matrix's type.</param>
    public void Write(string path, ScalarType type)
    {
        using var scope = NewDisposeScope();
        KeyValuePair<string, Tensor>[] tensors =
        [
            new("U", U), new("s", S), new("Vt", Vt), new(SecondsTensor, tensor([Seconds])), new(Checksum, ChecksumFor(path, type)),
        ];
        NewFile.Write(path, stream => CheckpointWriter.Write(stream, tensors, type));
    }

    /// <summary>The hash's bytes as numbers of the file's type, which holds them exactly.</summary>
    private Tensor ChecksumFor(string path, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var hash = new XxHash128();
        hash.Append(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Path.GetFileName(path)} {type} ")));
        foreach (Tensor part in new[] { U, S, Vt, tensor([Seconds]) })
        {
            hash.Append(part.detach().to(type).cpu().contiguous().bytes);
        }

        return scope.MoveToOuter(tensor([.. hash.GetCurrentHash().Select(value => (double)value)]).to(type));
    }
}
