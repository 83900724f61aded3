using System.Globalization;
using System.IO.Hashing;
using System.Security.Cryptography;
using System.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Checkpoints;

/// <summary>
/// Names a model by its weights: an adapter and a study say with it which base they belong to. It is of values and not of bytes, so that
/// the same numbers have the same name, whether they are stored in 16, 32 or 64 bits, in one file or in several.
/// </summary>
internal static class WeightsFingerprint
{
    /// <summary>Tells these from the sampled ones of version 0.1.</summary>
    private const string Mark = "xxh128:";

    /// <summary>The values that are looked at together.</summary>
    public const long ChunkLength = 1 << 20;

    /// <summary>
    /// A hash (XxHash128) of every name, shape and value, in ordinal order of the names. Values count as float32, which every number in 16
    /// bits is exactly; float64 where float32 does not hold them. It guards against mistakes, not against forgery.
    /// </summary>
    public static string Of(IEnumerable<KeyValuePair<string, Tensor>> weights)
    {
        var hash = new XxHash128();
        foreach ((string name, Tensor weight) in weights.OrderBy(named => named.Key, StringComparer.Ordinal))
        {
            hash.Append(Encoding.UTF8.GetBytes($"{name} {Text(weight.shape)}\n"));
            AppendValues(hash, weight);
        }

        return Mark + Convert.ToHexStringLower(hash.GetCurrentHash());
    }

    /// <summary>Whether it is one that <see cref="Of"/> gave, and not the <see cref="Sampled"/> of version 0.1.</summary>
    public static bool IsOfEveryValue(string fingerprint) => fingerprint.StartsWith(Mark, StringComparison.Ordinal);

    /// <summary>Whether values of one type come out of a conversion as they went in, and so leave the fingerprint as it is.</summary>
    public static bool Survives(ScalarType stored, ScalarType converted) =>
        stored == converted || converted == ScalarType.Float64
        || (converted == ScalarType.Float32 && stored is ScalarType.Float16 or ScalarType.BFloat16);

    /// <summary>
    /// What files of version 0.1 hold: a SHA-256 over each stored tensor's name, type, shape and bytes: all of them up to 2,048 values, of
    /// larger ones 64 evenly spaced pieces. Only for these files: bases that differ between the pieces have the same one.
    /// </summary>
    public static string Sampled(IEnumerable<KeyValuePair<string, Tensor>> stored)
    {
        const int Pieces = 64;
        const int PieceLength = 32;
        using DisposeScope scope = NewDisposeScope();
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach ((string name, Tensor tensor) in stored.OrderBy(named => named.Key, StringComparer.Ordinal))
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{name} {tensor.dtype} {Text(tensor.shape)}"));
            Tensor values = tensor.view(-1);
            long count = values.numel();
            if (count <= Pieces * PieceLength)
            {
                hash.AppendData(count == 0 ? [] : values.cpu().bytes);
                continue;
            }

            for (int piece = 0; piece < Pieces; piece++)
            {
                using Tensor part = values.narrow(0, (count - PieceLength) * piece / (Pieces - 1), PieceLength);
                using Tensor copy = part.clone();
                hash.AppendData(copy.bytes);
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void AppendValues(XxHash128 hash, Tensor weight)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor values = weight.detach().flatten();
        for (long at = 0; at < values.numel(); at += ChunkLength)
        {
            using var chunk = NewDisposeScope();
            Tensor part = values.narrow(0, at, Math.Min(ChunkLength, values.numel() - at)).cpu();
            Tensor single = part.to(ScalarType.Float32);
            bool isExact = part.dtype != ScalarType.Float64 || single.to(ScalarType.Float64).eq(part).all().item<bool>();
            hash.Append((isExact ? single : part).contiguous().bytes);
        }
    }

    private static string Text(long[] shape) => $"[{string.Join(", ", shape.Select(size => size.ToString(CultureInfo.InvariantCulture)))}]";
}
