using System.Globalization;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Tests.Mpi;

/// <summary>What ranks that cannot train together are told: whatever differs or failed can be seen. They are threads.</summary>
[TestClass]
[TestCategory("Mpi")]
public sealed class RanksMessagesTests
{
    /// <summary>However long the texts are, and wherever and how many of them differ.</summary>
    [TestMethod]
    [DataRow("first", "second")]
    [DataRow("first", "")]
    [DataRow("first", "first and")]
    [DataRow("a", "b", "c")]
    [DataRow("a", "b", "c{0}d", "c{0}e")]
    [DataRow("a{0}{0}1", "a{0}{0}2", "a{0}3", "a{0}", "")]
    public void WhatDiffersIsNeverShownAsTheSame(params string[] ends)
    {
        string same = string.Join(' ', Enumerable.Range(0, 30).Select(i => $"word{i}"));
        string[] texts = [.. ends.Select(end => same + string.Format(CultureInfo.InvariantCulture, end, same) + same[..5])];

        string error = ThreadRanks.Run(texts.Length, ranks => Assert.ThrowsExactly<InvalidOperationException>(
            () => new RankAgreement(ranks).Meet(new Dictionary<string, string> { ["Template"] = texts[ranks.Rank] })).Message)[0];

        string[] shown = [.. texts.Select(text => DifferentTexts.Shown(texts)[text])];
        Assert.HasCount(texts.Length, shown.Distinct());
        for (int rank = 0; rank < texts.Length; rank++)
        {
            Assert.Contains($"rank {rank} {(rank == 0 ? "has " : "")}{shown[rank]}", error);
            Assert.IsLessThan(60 * texts.Length, shown[rank].Length);
        }
    }

    [TestMethod]
    public void ALongNameOrManyRanksHideNoValue()
    {
        string error = ThreadRanks.Run(14, ranks => Assert.ThrowsExactly<InvalidOperationException>(
            () => new RankAgreement(ranks).Meet(new Dictionary<string, string>
            {
                [new string('n', 60)] = new string(ranks.Rank % 2 == 0 ? 'a' : 'b', 48),
            })).Message)[0];

        Assert.Contains($"has {new string('a', 48)}, ranks 1, 3, 5, 7, 9, 11, 13 {new string('b', 48)}", error);
    }

    /// <summary>An error without words is one all the same, and of many none is left out without a word.</summary>
    [TestMethod]
    public void EveryFaultIsToldOrCounted()
    {
        string?[] errors = ThreadRanks.Run(14, ranks =>
        {
            var agreement = new RankAgreement(ranks);
            if (ranks.Rank > 0)
            {
                agreement.Fail(new InvalidDataException(ranks.Rank == 1 ? "" : $"Fault {ranks.Rank}."));
                return null;
            }

            return Assert.ThrowsExactly<InvalidOperationException>(() => agreement.Meet(new Dictionary<string, string>())).Message;
        });

        Assert.StartsWith("Rank 1 of 14 has failed: InvalidDataException", errors[0]);
        Assert.Contains("Rank 10 of 14 has failed: Fault 10.", errors[0]!);
        Assert.DoesNotContain("Fault 11.", errors[0]!);
        Assert.EndsWith("and 3 more", errors[0]);
    }
}
