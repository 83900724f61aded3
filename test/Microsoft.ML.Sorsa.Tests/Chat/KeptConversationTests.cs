using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>Keys and values that are kept, moved and dropped, with tiny random models of every kind.</summary>
[TestClass]
[TestCategory("Chat")]
[TestCategory("Numeric")]
public sealed class KeptConversationTests
{
    public static IEnumerable<object[]> Folders => TestData.Rows(TestData.Golden("models"), "*");

    /// <summary>
    /// Rows join and leave in every order, some over kept beginnings: each has the scores of its whole text, read at once and alone.
    /// </summary>
    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void RowsThatComeAndGoHaveTheirOwnScores(string folder)
    {
        using var scope = NewDisposeScope();
        using CausalLM model = CausalLM.Load(TestData.Require(folder), ScalarType.Float32, TestDevice.Current);
        CachedModel cached = new(model);
        using PrefixCache prefixes = new(40);
        using IDecoding decoding = cached.Start(room: 2, prefixes);
        var random = new Random(3);
        var texts = new List<List<int>>();
        int reused = 0;
        for (int round = 0; round < 12; round++)
        {
            if (texts.Count > 0)
            {
                Compare(decoding.Next([.. texts.Select(Extend)]), texts);
            }

            if (round % 5 != 4 && (cached.RowsAreIndependent || texts.Count == 0))
            {
                int[][] prompts = [.. Enumerable.Range(0, cached.RowsAreIndependent ? 1 + (round % 3) : 1).Select(_ => Prompt())];
                IPromptReading reading = decoding.Begin(prompts);
                reused += reading.KeptTokens.Sum();
                Tensor? scores;
                while ((scores = reading.Read(tokens: 3)) is null)
                {
                    // Piece by piece.
                }

                decoding.Join(reading);
                List<int>[] joined = [.. prompts.Select(prompt => prompt.ToList())];
                Compare(scores, joined);
                texts.AddRange(joined);
            }

            int[] leaving = [.. Enumerable.Range(0, texts.Count).Where(_ => random.Next(3) == 0 || texts.Count > 5)];
            if (leaving.Length > 0)
            {
                decoding.Remove([.. leaving.Select(row => (row, (int[]?)[.. texts[row]]))]);
                foreach (int row in leaving.Reverse())
                {
                    texts.RemoveAt(row);
                }
            }
        }

        Assert.IsLessThanOrEqualTo(40, prefixes.Length);
        Assert.IsTrue(cached.RowsAreIndependent == reused > 0);

        // Many begin alike.
        int[] Prompt() =>
            [.. Enumerable.Range(0, 1 + random.Next(7)).Select(at => at < 3 ? at + 1 : random.Next(model.Spec.VocabularySize))];

        long Extend(List<int> text)
        {
            text.Add(random.Next(model.Spec.VocabularySize));
            return text[^1];
        }

        void Compare(Tensor scores, IReadOnlyList<List<int>> of)
        {
            using var noGrad = no_grad();
            foreach ((int row, List<int> text) in of.Index())
            {
                Tensor ids = tensor(text.Select(id => (long)id).ToArray()).OnDevice().unsqueeze(0);
                Tensor alone = model.Logits(model.Forward(model.Embed(ids)))[0, -1].cpu();

                // Sums of float32 in another order.
                Assert.IsLessThan(TestDevice.Limit(1e-4), (scores[row] - alone).abs().max().item<float>(), $"row {row}");
            }
        }
    }

    [TestMethod]
    public void TheLongestBeginningIsFoundAndTheLeastUsedGoes()
    {
        using CausalLM model = CausalLM.Load(TestData.TinyLlama, ScalarType.Float32, TestDevice.Current);
        using PrefixCache prefixes = new(10);
        KVCache Copy(int length) => new(model.Spec, 1, length, ScalarType.Float32, TestDevice.Current);
        Assert.IsNull(prefixes.Find([1, 2]));
        prefixes.Store([1, 2, 3], Copy);
        prefixes.Store([1, 2, 4, 5], Copy);

        Assert.AreEqual(2, prefixes.Find([1, 2])!.Value.Length);
        Assert.AreEqual(4, prefixes.Find([1, 2, 4, 5, 6])!.Value.Length);
        Assert.IsNull(prefixes.Find([2, 3]));

        // What one holds already is not kept twice; a longer one takes the place of its beginning.
        prefixes.Store([1, 2], _ => throw new InvalidOperationException("It is there."));
        prefixes.Store([1, 2, 3, 9], Copy);
        Assert.AreEqual(8, prefixes.Length);

        // [1, 2, 4, 5] was not used for longest.
        prefixes.Store([7, 7, 7], Copy);
        Assert.AreEqual(7, prefixes.Length);
        Assert.AreEqual(2, prefixes.Find([1, 2, 4, 5])!.Value.Length);
        Assert.AreEqual(4, prefixes.Find([1, 2, 3, 9])!.Value.Length);

        // Of a text that is too long its beginning.
        prefixes.Store([.. Enumerable.Range(20, 30)], Copy);
        Assert.AreEqual(10, prefixes.Length);
        Assert.AreEqual(10, prefixes.Find([.. Enumerable.Range(20, 30)])!.Value.Length);

        prefixes.Adapter = "another";
        Assert.IsNull(prefixes.Find([20]));
    }
}
