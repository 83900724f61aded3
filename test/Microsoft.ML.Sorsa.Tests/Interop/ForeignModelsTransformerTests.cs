using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>The transformer over a model object of the user's: it does what it does over ours, but it neither saves nor frees it.</summary>
[TestClass]
[TestCategory("ForeignModels")]
public sealed class ForeignModelsTransformerTests
{
    private static readonly MLContext s_ml = new(seed: 1);

    [TestMethod]
    [DataRow("llama")]
    [DataRow("mistral")]
    public void ItAnswersAsOverOurDecoder(string name)
    {
        GenerationOptions options = TinyTask.Options().Generation;
        using SorsaTransformer ours = s_ml.Sorsa().LoadModel(TestData.TinyLlama, generation: options);
        using nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> module = LookAlikes.Load(name, TestData.TinyLlama);
        using SorsaTransformer theirs = Over(module, options);
        IDataView data = s_ml.Data.TakeRows(TinyTask.Data(s_ml), 3);

        string[] answers = [.. theirs.Transform(data).GetColumn<string>("Reply")];

        CollectionAssert.AreEqual(ours.Transform(data).GetColumn<string>("Reply").ToArray(), answers);
        CollectionAssert.AreEqual(answers, TinyTask.Rows.Take(3).Select(row => theirs.Generate(row.Prompt)).ToArray());
        Assert.AreEqual(answers[0], string.Concat(theirs.Stream(TinyTask.Rows[0].Prompt)));
        Assert.Contains(answer => answer.Length > 0, answers);
        using PredictionEngine<TinyTask.Row, TinyTask.Answered> engine =
            s_ml.Model.CreatePredictionEngine<TinyTask.Row, TinyTask.Answered>(theirs);
        Assert.AreEqual(answers[1], engine.Predict(TinyTask.Rows[1]).Reply);
    }

    [TestMethod]
    public void SavingSaysWhatToDoInstead()
    {
        using nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> module = LookAlikes.Load("llama", TestData.TinyLlama);
        using SorsaTransformer model = Over(module, new());
        using var folder = new TemporaryFolder();
        using var zip = new MemoryStream();

        foreach (Action save in new Action[]
        {
            () => model.SaveHuggingFace(folder.File("new")), () => s_ml.Model.Save(model, TinyTask.Data(s_ml).Schema, zip),
            () => s_ml.Model.Save(model, null, folder.File("stock.zip")), () => model.Save(folder.File("own.zip")),
            () => model.SaveGguf(folder.File("model.gguf")),
            () => s_ml.Sorsa().SaveZip(new TransformerChain<ITransformer>(model), null, folder.File("chain.zip")),
        })
        {
            string message = Assert.ThrowsExactly<NotSupportedException>(save).Message;
            Assert.Contains("an object of your own class", message);
            Assert.Contains("module.save", message);
            Assert.Contains("FineTune(model, modelFolder, options)", message);
        }

        Assert.IsEmpty(Directory.GetFileSystemEntries(folder.Path));
    }

    [TestMethod]
    public void TheModelOutlivesTheTransformer()
    {
        using nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> module = LookAlikes.Load("llama", TestData.TinyLlama);
        SorsaTransformer model = Over(module, new() { MaxNewTokens = 3 });
        string answer = model.Generate("1 + 1");

        model.Dispose();
        model.Dispose();

        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Generate("1 + 1"));
        using SorsaTransformer again = Over(module, new() { MaxNewTokens = 3 });
        Assert.AreEqual(answer, again.Generate("1 + 1"));
    }

    /// <summary>With the tokenizer of ours, so that the texts can be compared.</summary>
    private static SorsaTransformer Over(nn.Module module, GenerationOptions options) => new(
        new MLContext(),
        new FineTunedModel(ForeignModel.Bind(module), null, ScalarType.Float32) { WhyNotSaved = ModuleModel.NoFolder },
        new PromptEncoder(TextTokenizer.Load(TestData.TinyLlama), PromptTemplate.Alpaca),
        new SorsaFineTuningTrainer.Options { Generation = options }.ToSettings());
}
