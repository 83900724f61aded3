using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Generation.Sampling;

/// <summary>
/// Greedy choice where the scores lie: from a GPU come two numbers a row, not the vocabulary. As <see cref="TokenSampler"/> chooses: of
/// equal scores the first. Drawing stays on the host, whose float64 sums over the vocabulary no card rounds alike.
/// </summary>
internal static class HighestScores
{
    /// <summary>Whether the way to the host is worth sparing.</summary>
    public static bool IsWorthIt(Tensor scores, IEnumerable<GenerationRow> rows) =>
        scores.device_type != DeviceType.CPU && rows.Any(row => row.TakesHighest);

    /// <summary>The token of the highest score of each row of float32 [rows, vocabulary], and that score.</summary>
    public static (int Id, float Score)[] Of(Tensor scores)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        (Tensor highest, Tensor ids) = scores.max(1);

        // Together: each copy waits for the device. Float64 holds both exactly.
        double[] pairs = [.. stack([ids.to(ScalarType.Float64), highest.to(ScalarType.Float64)], 1).cpu().data<double>()];
        return [.. pairs.Chunk(2).Select(pair => ((int)pair[0], (float)pair[1]))];
    }
}
