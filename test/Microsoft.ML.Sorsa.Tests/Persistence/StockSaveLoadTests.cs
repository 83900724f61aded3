using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Tests.DataViews;
using Microsoft.ML.Transforms.Text;

namespace Microsoft.ML.Sorsa.Tests.Persistence;

/// <summary>ML.NET's own mlContext.Model.Save and Load with a transformer that ML.NET does not know and nobody registers.</summary>
[TestClass]
[TestCategory("Persistence")]
public sealed class StockSaveLoadTests
{
    private static readonly byte[] s_tokenizer = [.. Enumerable.Range(0, 1000).Select(i => (byte)i)];
    private static readonly byte[] s_weights = [.. Enumerable.Range(0, 300_000).Select(i => (byte)(i * 7))];

    private readonly MLContext _ml = new(seed: 1);

    private sealed class Question
    {
        public string Prompt { get; set; } = "";
    }

    private sealed class Answered
    {
        public string Answer { get; set; } = "";
    }

    private IDataView Input => _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 6).Select(i => new Question { Prompt = $"Row {i}" }));

    [TestMethod]
    public void AloneItComesBackAsItWas()
    {
        using MemoryStream zip = Save(Shout("Prompt"));
        var shout = (ShoutTransformer)Load(zip);

        CollectionAssert.AreEqual(s_tokenizer, shout.Tokenizer);
        CollectionAssert.AreEqual(s_weights, shout.Weights);
        Assert.AreEqual("ROW 5", shout.Transform(Input).GetColumn<string>("Answer").Last());
    }

    [TestMethod]
    public void TwoInAChainOfOthersKeepTheirEntriesApart()
    {
        TransformerChain<ITransformer> chain = new TransformerChain<ITransformer>(
            _ml.Transforms.CopyColumns("Text", "Prompt").Fit(Input),
            Shout("Text"));
        chain = chain.Append<ITransformer>(_ml.Transforms.Text.NormalizeText("Answer", "Answer", TextNormalizingEstimator.CaseMode.Lower)
            .Fit(chain.Transform(Input)));
        chain = chain.Append<ITransformer>(new ShoutTransformer("Answer", "Answer", weights: [9]));

        using MemoryStream zip = Save(chain);
        using MemoryStream again = Save(Load(zip));
        ITransformer reloaded = Load(again);
        ITransformer[] loaded = [.. (IEnumerable<ITransformer>)reloaded];

        CollectionAssert.AreEqual(s_weights, ((ShoutTransformer)loaded[1]).Weights);
        Assert.AreEqual(9, ((ShoutTransformer)loaded[3]).Weights.Single());
        Assert.AreEqual("ROW 0", reloaded.Transform(Input).GetColumn<string>("Answer").First());
        using PredictionEngine<Question, Answered> engine = _ml.Model.CreatePredictionEngine<Question, Answered>(reloaded);
        Assert.AreEqual("LOUD", engine.Predict(new Question { Prompt = "loud" }).Answer);
    }

    [TestMethod]
    public void ADamagedEntryIsNamed()
    {
        using MemoryStream zip = ModelZip.Repack(
            Save(Shout("Prompt")), (name, content) => name == ShoutTransformer.WeightsEntry ? content[..100] : content);

        // ML.NET calls a loader by reflection and leaves the wrapper on.
        var error = Assert.ThrowsExactly<TargetInvocationException>(() => Load(zip));
        Assert.IsInstanceOfType<InvalidDataException>(error.InnerException);
        Assert.Contains($"The entry '{ShoutTransformer.WeightsEntry}' of the model zip has 100 bytes", error.InnerException.Message);
    }

    [TestMethod]
    public void AZipCutShortIsNeverLoaded()
    {
        byte[] whole = Save(Shout("Prompt")).ToArray();
        for (int length = 0; length < whole.Length; length += 1 + whole.Length / 50)
        {
            Assert.Throws<Exception>(() => Load(new MemoryStream(whole, 0, length)), $"{length} of {whole.Length} bytes");
        }

        Assert.ThrowsExactly<FormatException>(() => Load(new MemoryStream(whole, 0, whole.Length - 1)));
    }

    private static ShoutTransformer Shout(string input) => new("Answer", input, tokenizer: s_tokenizer, weights: s_weights);

    private MemoryStream Save(ITransformer model)
    {
        var zip = new MemoryStream();
        _ml.Model.Save(model, Input.Schema, zip);
        return zip;
    }

    private static ITransformer Load(Stream zip)
    {
        zip.Position = 0;
        return new MLContext(seed: 1).Model.Load(zip, out _);
    }
}
