using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.ML.Sorsa.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Decompositions;

/// <summary>
/// Decomposes a matrix once, at the largest rank that will be asked for, and keeps the triplets as a safetensors file under the matrix's
/// fingerprint: a smaller rank takes the first of them. Several threads and processes of one user may share a folder; one that dies leaves
/// nothing half written, and what was damaged or altered is made again.
/// </summary>
/// <param name="folder">Made if it is not there, for this user alone; another user's is refused.</param>
/// <param name="largestRank">The largest rank; a matrix of a smaller side gives all that it has.</param>
/// <param name="seed">Of the randomised form, for each matrix anew: the order of the matrices does not count.</param>
internal sealed class DecompositionCache(string folder, int largestRank, int seed) : Decomposition
{
    private const string FolderRemedy = "Name a folder of your own for decompositions, or remove this one";

    /// <summary>To be raised with any change of the decomposition or its file.</summary>
    private const int Version = 3;

    private readonly string _folder = OwnFolder(folder);
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
            (Tensor u, Tensor s, Tensor vt) = Decompose(weight, rank);
            return scope.MoveToOuter(u, s, vt);
        }

        int kept = Kept(weight.shape);
        if (rank > kept)
        {
            throw new ArgumentOutOfRangeException(
                nameof(rank), rank, string.Create(CultureInfo.InvariantCulture, $"Decompositions are kept up to rank {kept}."));
        }

        // Threads and device decide the last bits, too.
        string path = Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture,
            $"{Fingerprint(weight)}-{kept}-{seed}-{get_num_threads()}-{weight.device_type}-{Version}.safetensors"));

        // One at a time: two trials that begin together would make the same ones twice.
        lock (_turn)
        {
            PrivateFolder.Create(_folder, FolderRemedy);
            DecompositionFile? found = DecompositionFile.Find(path, weight, kept);
            Made += found is null ? 1 : 0;
            Found += found is null ? 0 : 1;
            _ticksSaved += found is null ? 0 : (long)(found.Seconds * TimeSpan.TicksPerSecond);
            found ??= Make(path, weight, kept);
            return scope.MoveToOuter(
                found.U.narrow(1, 0, rank).to(weight.device, copy: true).contiguous(),
                found.S.narrow(0, 0, rank).to(weight.device, copy: true),
                found.Vt.narrow(0, 0, rank).to(weight.device, copy: true));
        }
    }

    public override string? Name => string.Create(CultureInfo.InvariantCulture, $"largest rank {largestRank}, Seed {seed}");

    public override bool IsRandomized(long[] shape, int rank) => TruncatedSvd.IsRandomizedCheaper(shape.Min(), Kept(shape));

    private static string OwnFolder(string folder)
    {
        PrivateFolder.Verify(folder, FolderRemedy);
        return folder;
    }

    private int Kept(long[] shape) => (int)Math.Min(largestRank, shape.Min());

    private (Tensor U, Tensor S, Tensor Vt) Decompose(Tensor weight, int rank)
    {
        using var generator = new Generator(unchecked((ulong)seed));
        return TruncatedSvd.Decompose(weight, rank, generator);
    }

    private DecompositionFile Make(string path, Tensor weight, int rank)
    {
        var clock = Stopwatch.StartNew();
        (Tensor u, Tensor s, Tensor vt) = Decompose(weight, rank);
        var made = new DecompositionFile(u, s, vt, clock.Elapsed.TotalSeconds);
        made.Write(path, weight.dtype);
        return made;
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

    /// <summary>What decides its triplets beside the matrix and the rank; null: the training's own options.</summary>
    public virtual string? Name => null;

    /// <summary>U [out, r], s [r] descending, Vt [r, in], in tensors that the caller owns.</summary>
    /// <param name="weight">W [out, in], float32 or float64.</param>
    /// <param name="rank">r.</param>
    /// <param name="comesAgain">W is a model's own, which others may ask for too.</param>
    public abstract (Tensor U, Tensor S, Tensor Vt) Leading(Tensor weight, int rank, bool comesAgain);

    /// <summary>Whether the triplets of such a matrix are found by the randomised form: not to the last digits of an exact one.</summary>
    public abstract bool IsRandomized(long[] shape, int rank);

    private sealed class FromGenerator(Generator generator) : Decomposition
    {
        public override (Tensor U, Tensor S, Tensor Vt) Leading(Tensor weight, int rank, bool comesAgain) =>
            TruncatedSvd.Decompose(weight, rank, generator);

        public override bool IsRandomized(long[] shape, int rank) => TruncatedSvd.IsRandomizedCheaper(shape.Min(), rank);
    }
}
