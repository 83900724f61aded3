using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Evaluation.Likelihoods;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>How tokens are put before a model, with one whose scores are known.</summary>
[TestClass]
[TestCategory("Evaluation")]
public sealed class TokenScorerTests
{
    /// <summary>All tokens are equally likely: each costs ln V, whatever is in its batch.</summary>
    [TestMethod]
    public void EveryLabelCountsOnce()
    {
        SupervisedExample[] examples =
        [
            .. Enumerable.Range(0, 60).Select(i => new SupervisedExample(new int[1 + ((i * 37) % 200)], (i * 11) % 90)),
            new(new int[3000], 2999), new([1], 0), new([1, 2], 2),
        ];
        using var model = new Uniform(0);

        double[] losses = model.Scorer().Losses(examples, CancellationToken.None);

        for (int i = 0; i < examples.Length; i++)
        {
            Assert.AreEqual(Math.Max(0, examples[i].LabelCount) * Math.Log(model.VocabularySize), losses[i], 1e-9);
        }
    }

    /// <summary>
    /// A batch is bounded, its rows are of similar length, and the longest come first; one row that is longer goes alone.
    /// </summary>
    [TestMethod]
    public void BatchesAreOfSimilarLength()
    {
        using var model = new Uniform(0);
        model.Scorer().Losses(
            [new(new int[3000], 2990), .. Enumerable.Range(10, 400).Select(length => new SupervisedExample(new int[length], length - 1))],
            CancellationToken.None);

        Assert.AreEqual((1, 3000), model.Batches[0]);
        Assert.AreEqual(401, model.Batches.Sum(batch => batch.Rows));
        Assert.IsTrue(model.Batches.Skip(1).All(batch => batch.Rows * batch.Width <= 2048));
        Assert.IsTrue(model.Batches.Zip(model.Batches.Skip(1)).All(pair => pair.First.Width >= pair.Second.Width));
        double padded = model.Batches.Sum(batch => (double)batch.Rows * batch.Width);
        Assert.IsLessThan(1.15, padded / (3000 + Enumerable.Range(10, 400).Sum()));
    }

    /// <summary>The scores over a vocabulary never exist for all tokens.</summary>
    [TestMethod]
    public void ScoresExistForSomeTokensAtATime()
    {
        using var model = new Uniform(0, 50_000);
        model.Scorer().Losses([new(new int[2000], 1)], CancellationToken.None);

        Assert.AreEqual(1999, model.Chunks.Sum());
        Assert.IsTrue(model.Chunks.All(rows => rows * model.VocabularySize <= 1 << 22));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void TheModelIsInEvaluationAndThenAsItWas(bool training)
    {
        using var model = new Uniform(0);
        model.Module.train(training);

        model.Scorer().Losses([new([1, 2, 3], 1)], CancellationToken.None);

        Assert.IsFalse(model.WasTraining);
        Assert.AreEqual(training, model.Module.training);
    }

    /// <summary>A number that is none must not become a choice.</summary>
    [TestMethod]
    public void ScoresThatAreNoNumbersAreAnError()
    {
        using var model = new Uniform(double.NaN);

        Assert.Contains("NaN", Assert.ThrowsExactly<InvalidOperationException>(
            () => model.Scorer().Losses([new([1, 2, 3], 1)], CancellationToken.None)).Message);
    }

    private sealed class Uniform(double score, int vocabulary = 1000) : ILanguageModel, ITrainedModel, IDisposable
    {
        private readonly PromptEncoder _prompts = new(
            TextTokenizer.Load(TestData.TinyLlama), PromptTemplate.Format("{prompt}"));

        public nn.Module<Tensor, Tensor> Module { get; } = nn.Identity();

        public List<(int Rows, int Width)> Batches { get; } = [];

        public List<long> Chunks { get; } = [];

        public bool WasTraining { get; private set; }

        public int VocabularySize => vocabulary;

        public int MaxPositions => 4096;

        public IReadOnlyList<int> EndTokenIds => [2];

        public Device Device => CPU;

        public IReadOnlyList<KeyValuePair<string, Tensor>> NamedWeights => [];

        public bool GradientCheckpointing { get; set; }

        public TokenScorer Scorer() => new(this, this, Module, _prompts, act => act());

        public Tensor Hidden(Tensor inputIds, Tensor positions)
        {
            WasTraining |= Module.training;
            Batches.Add(((int)inputIds.shape[0], (int)inputIds.shape[1]));
            return zeros(positions.numel(), 1);
        }

        public Tensor Head(Tensor hidden)
        {
            Chunks.Add(hidden.shape[0]);
            return full([hidden.shape[0], vocabulary], score);
        }

        public void train(bool on = true) => Module.train(on);

        public IDecoding Start(int room, PrefixCache? prefixes = null) => throw new NotSupportedException("It only scores.");

        public void Dispose() => Module.Dispose();
    }
}
