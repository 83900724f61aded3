using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Decompositions;

/// <summary>
/// Decomposes a matrix once, at the largest rank that will be asked for, and keeps the triplets as a safetensors file under the matrix's
/// fingerprint: a smaller rank takes the first of them. Several threads and processes may share a folder; one that dies leaves nothing
/// half written.
/// </summary>
/// <param name="folder">Made if it is not there.</param>
/// <param name="largestRank">The largest rank; a matrix of a smaller side gives all that it has.</param>
/// <param name="seed">Of the randomised form, for each matrix anew: the order of the matrices does not count.</param>
internal sealed class DecompositionCache(string folder, int largestRank, int seed) : Decomposition
{
    private const string Seconds = "seconds";

    /// <summary>To be raised with any change of the decomposition.</summary>
    private const int Version = 2;

    private readonly Lock _turn = new();
    private long _ticksSaved;

    /// <summary>Decompositions that were made.</summary>
    public int Made { get; private set; }

    /// <summary>Decompositions that were found instead.</summary>
    public int Found { get; private set; }

    /// <summary>The time that those took when they were made.</summary>
    public TimeSpan Saved => new(_ticksSaved);

    public override (Tensor U, Tensor S, Tensor Vt) Leading(Tensor weight, int rank, bool comesAgain)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        if (!comesAgain)
        {
            using var generator = new Generator(unchecked((ulong)seed));
            (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Decompose(weight, rank, generator);
            return scope.MoveToOuter(u, s, vt);
        }

        int kept = (int)Math.Min(largestRank, weight.shape.Min());
        if (rank > kept)
        {
            throw new ArgumentOutOfRangeException(
                nameof(rank), rank, string.Create(CultureInfo.InvariantCulture, $"Decompositions are kept up to rank {kept}."));
        }

        // Threads and device decide the last bits, too.
        string path = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture,
            $"{Fingerprint(weight)}-{kept}-{seed}-{get_num_threads()}-{weight.device_type}-{Version}.safetensors"));

        // One at a time: two trials that begin together would make the same ones twice.
        lock (_turn)
        {
            Checkpoint? whole = OpenWhole(path);
            bool found = whole is not null;
            if (!found)
            {
                Write(path, weight, kept);
            }

            using Checkpoint triplets = whole ?? Checkpoint.OpenFile(path);
            Made += found ? 0 : 1;
            Found += found ? 1 : 0;
            _ticksSaved += found ? (long)(triplets.Tensors[Seconds].to(ScalarType.Float64).item<double>() * TimeSpan.TicksPerSecond) : 0;
            return scope.MoveToOuter(
                triplets.Tensors["U"].narrow(1, 0, rank).to(weight.device, copy: true).contiguous(),
                triplets.Tensors["s"].narrow(0, 0, rank).to(weight.device, copy: true),
                triplets.Tensors["Vt"].narrow(0, 0, rank).to(weight.device, copy: true));
        }
    }

    /// <summary>The file; null where there is none, or a damaged one, which is made again.</summary>
    private static Checkpoint? OpenWhole(string path)
    {
        try
        {
            return Checkpoint.OpenFile(path);
        }
        catch (Exception e) when (e is FileNotFoundException or InvalidDataException)
        {
            return null;
        }
    }

    private void Write(string path, Tensor weight, int rank)
    {
        var clock = Stopwatch.StartNew();
        using var generator = new Generator(unchecked((ulong)seed));
        (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Decompose(weight, rank, generator);
        Tensor seconds = tensor([clock.Elapsed.TotalSeconds]);
        Directory.CreateDirectory(folder);
        KeyValuePair<string, Tensor>[] tensors = [new("U", u), new("s", s), new("Vt", vt), new(Seconds, seconds)];
        NewFile.Write(path, stream => CheckpointWriter.Write(stream, tensors, weight.dtype));
    }

    private static string Fingerprint(Tensor weight)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData([.. $"{weight.dtype} {weight.shape[0]} {weight.shape[1]}".Select(letter => (byte)letter)]);
        using Tensor values = weight.cpu().contiguous();
        hash.AppendData(values.bytes);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}

/// <summary>Where the leading singular triplets of a matrix come from.</summary>
internal abstract class Decomposition
{
    /// <summary>Made anew each time; the randomised form draws from this generator, on the CPU.</summary>
    public static Decomposition Drawn(Generator generator) => new FromGenerator(generator);

    /// <summary>U [out, r], s [r] descending, Vt [r, in], in tensors that the caller owns.</summary>
    /// <param name="weight">W [out, in], float32 or float64.</param>
    /// <param name="rank">r.</param>
    /// <param name="comesAgain">W is a model's own, which others may ask for too.</param>
    public abstract (Tensor U, Tensor S, Tensor Vt) Leading(Tensor weight, int rank, bool comesAgain);

    private sealed class FromGenerator(Generator generator) : Decomposition
    {
        public override (Tensor U, Tensor S, Tensor Vt) Leading(Tensor weight, int rank, bool comesAgain) =>
            TruncatedSvd.Decompose(weight, rank, generator);
    }
}
