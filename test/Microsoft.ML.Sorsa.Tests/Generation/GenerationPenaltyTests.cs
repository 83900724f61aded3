using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Generation.Sampling;

namespace Microsoft.ML.Sorsa.Tests.Generation;

/// <summary>Frequency and presence penalty by OpenAI's formula.</summary>
[TestClass]
[TestCategory("Generation")]
public sealed class GenerationPenaltyTests
{
    private static readonly HashSet<int> s_seen = [0, 1, 2, 3];

    [TestMethod]
    public void EachTokenLosesWhatTheFormulaSays()
    {
        float[] logits = [1, 2, -3, 4];

        new CountPenalty(0.5, 0.25).Apply(logits, new Dictionary<int, int> { [1] = 3, [2] = 1 });

        CollectionAssert.AreEqual(new float[] { 1, 2 - 1.5f - 0.25f, -3 - 0.5f - 0.25f, 4 }, logits);
    }

    [TestMethod]
    public void APromptsTokensDoNotCountAndTheAnswersDo()
    {
        TokenSampler sampler = new(new() { FrequencyPenalty = 1 });

        Assert.AreEqual(3, sampler.Choose([1, 2, 3, 4], s_seen, 0, new Dictionary<int, int>()));
        Assert.AreEqual(2, sampler.Choose([1, 2, 3, 4.5f], s_seen, 0, new Dictionary<int, int> { [3] = 2 }));
        Assert.AreEqual(3, sampler.Choose([1, 2, 3, 4.5f], s_seen, 0, new Dictionary<int, int> { [3] = 1 }));
    }

    /// <summary>A row counts its own tokens: with equal scores but for a small lead, a penalty above it takes turns.</summary>
    [TestMethod]
    public void ARowCountsWhatItSaid()
    {
        GenerationRow row = new([0, 0, 0], limit: 6, seed: 0, new TokenSampler(new() { PresencePenalty = 0.5 }), new HashSet<int>(), null);
        while (row.Stopped is null)
        {
            row.Extend([1, 0.9f, 0.8f, 0]);
        }

        // 1, then 0.9 and 0.8 before what was said, then the highest of what was said again.
        Assert.AreEqual("0 1 2 0 0 0", string.Join(' ', row.NewIds));
    }
}
