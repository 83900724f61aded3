using System.Runtime.InteropServices;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Generation.Sampling;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Generation;

/// <summary>The greedy choice where the scores lie is that of the host, token for token.</summary>
[TestClass]
[TestCategory("Generation")]
[TestCategory("Mixed")]
[TestCategory("Numeric")]
public sealed class HighestScoresTests
{
    /// <summary>Scores of few values, as bfloat16 gives them: the highest is often there more than once.</summary>
    [TestMethod]
    [DataRow(1, 7, 2)]
    [DataRow(5, 1000, 3)]
    [DataRow(16, 49152, 40)]
    [DataRow(3, 32000, 1)]
    [DataRow(2, 1, 1)]
    public void OfEqualScoresItIsTheFirstAsOnTheHost(int rows, int vocabulary, int values)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(7);
        Tensor scores = randint(0, values, [rows, vocabulary], ScalarType.Float32, generator: generator).OnDevice() - (values / 2f);
        TokenSampler sampler = new(new GenerationOptions());
        float[] host = MemoryMarshal.Cast<byte, float>(scores.cpu().bytes).ToArray();

        (int Id, float Score)[] highest = HighestScores.Of(scores);

        Assert.HasCount(rows, highest);
        for (int row = 0; row < rows; row++)
        {
            float[] one = host[(row * vocabulary)..((row + 1) * vocabulary)];
            Assert.AreEqual(sampler.Choose([.. one], new HashSet<int>(), 0), highest[row].Id);
            Assert.AreEqual(Array.IndexOf(one, one.Max()), highest[row].Id);
            Assert.AreEqual(one.Max(), highest[row].Score);
        }
    }

    /// <summary>A row's broken scores are its own error, as on the host; the others go on.</summary>
    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    public void ScoresThatAreNotFiniteAreRefused(float broken)
    {
        using Tensor scores = tensor([1f, broken, 3f, 2f, 1f, float.NegativeInfinity], [2, 3]).OnDevice();
        (int Id, float Score)[] highest = HighestScores.Of(scores);

        Assert.ThrowsExactly<InvalidDataException>(() => Row(new GenerationOptions()).Extend(highest[0]));
        GenerationRow row = Row(new GenerationOptions());
        row.Extend(highest[1]);
        Assert.AreEqual(0, row.NewIds.Single());
    }

    /// <summary>Whatever changes or weighs scores needs them on the host.</summary>
    [TestMethod]
    public void OnlyAPlainGreedyRowTakesTheHighest()
    {
        Assert.IsTrue(Row(new GenerationOptions()).TakesHighest);
        foreach (GenerationOptions other in new[]
        {
            new GenerationOptions { Temperature = 0.5 }, new GenerationOptions { RepetitionPenalty = 1.1 },
            new GenerationOptions { FrequencyPenalty = 0.1 }, new GenerationOptions { PresencePenalty = 0.1 },
        })
        {
            Assert.IsFalse(Row(other).TakesHighest);
        }
    }

    private static GenerationRow Row(GenerationOptions options) =>
        new([1], limit: 4, seed: 0, new TokenSampler(options), new HashSet<int>(), text: null);
}
