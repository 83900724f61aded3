using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Surface;

/// <summary>The trainer and its transformer as ML.NET sees them.</summary>
[TestClass]
[TestCategory("Surface")]
public sealed class SorsaPipelineTests
{
    private readonly MLContext _mlContext = new(seed: 1);

    [TestMethod]
    public void TheShortFormTrainsAndAddsAColumn()
    {
        SorsaFineTuningTrainer trainer = _mlContext.Sorsa().FineTune(TestData.TinyLlama, "Prompt", "Response", "Reply");
        IDataView data = TinyTask.Data(_mlContext);

        SchemaShape shape = trainer.GetOutputSchema(SchemaShape.Create(data.Schema));

        Assert.IsTrue(shape.TryFindColumn("Reply", out SchemaShape.Column reply));
        Assert.AreEqual(TextDataViewType.Instance, reply.ItemType);
    }

    [TestMethod]
    public void ItWorksInAChainInAnEngineAndAfterStockSaveAndLoad()
    {
        using var folder = new TemporaryFolder();
        IDataView data = TinyTask.Data(_mlContext);
        var estimator = _mlContext.Transforms.CopyColumns("Question", "Prompt")
            .Append(_mlContext.Sorsa().FineTune(Asking("Question")))
            .AppendCacheCheckpoint(_mlContext)
            .Append(_mlContext.Transforms.Text.NormalizeText("Lower", "Reply"));

        ITransformer model = estimator.Fit(data);
        string[] answers = TinyTask.Answers(model, data);
        _mlContext.Model.Save(model, data.Schema, folder.File("model.zip"));
        ITransformer loaded = _mlContext.Model.Load(folder.File("model.zip"), out _);

        CollectionAssert.AreEqual(answers, TinyTask.Answers(loaded, data));
        CollectionAssert.AreEqual(
            answers.Select(answer => answer.ToLowerInvariant()).ToArray(), loaded.Transform(data).GetColumn<string>("Lower").ToArray());
        using PredictionEngine<TinyTask.Row, TinyTask.Answered> engine =
            _mlContext.Model.CreatePredictionEngine<TinyTask.Row, TinyTask.Answered>(loaded);
        for (int i = 0; i < 3; i++)
        {
            Assert.AreEqual(answers[i], engine.Predict(TinyTask.Rows[i]).Reply);
        }
    }

    [TestMethod]
    public void TheSameSeedGivesTheSameZipEntriesAndTheyAreStored()
    {
        using var folder = new TemporaryFolder();
        IDataView data = TinyTask.Data(_mlContext);
        foreach (string name in new[] { "a.zip", "b.zip" })
        {
            using SorsaTransformer model = _mlContext.Sorsa().FineTune(TinyTask.Options()).Fit(data);
            _mlContext.Model.Save(model, data.Schema, folder.File(name));
        }

        using ZipArchive a = ZipFile.OpenRead(folder.File("a.zip")), b = ZipFile.OpenRead(folder.File("b.zip"));
        ZipArchiveEntry weights = a.Entries.Single(entry => entry.Name == "model.safetensors");
        Assert.AreEqual(weights.Length, weights.CompressedLength);
        Assert.IsGreaterThan(2_000_000, weights.Length);
        CollectionAssert.AreEqual(Bytes(weights), Bytes(b.Entries.Single(entry => entry.Name == "model.safetensors")));

        static byte[] Bytes(ZipArchiveEntry entry)
        {
            using var copy = new MemoryStream();
            using Stream stream = entry.Open();
            stream.CopyTo(copy);
            return copy.ToArray();
        }
    }

    /// <summary>The checkpoint is bfloat16, and float32 is computed in: rounding must have happened before the first answer.</summary>
    [TestMethod]
    [DataRow(WeightType.Checkpoint, ScalarType.BFloat16)]
    [DataRow(WeightType.Float16, ScalarType.Float16)]
    [DataRow(WeightType.Float32, ScalarType.Float32)]
    public void AFolderHoldsTheVeryWeightsThatCompute(WeightType savedType, ScalarType stored)
    {
        using var folder = new TemporaryFolder();
        Options options = TinyTask.Options();
        options.SavedType = savedType;
        IDataView data = TinyTask.Data(_mlContext);
        using SorsaTransformer model = _mlContext.Sorsa().FineTune(options).Fit(data);

        model.SaveHuggingFace(folder.File("out"));

        using (Checkpoint checkpoint = Checkpoint.OpenFolder(folder.File("out")))
        {
            Assert.IsTrue(checkpoint.Tensors.Values.All(tensor => tensor.dtype == stored));
        }

        string dtype = stored.ToString().ToLowerInvariant();
        Assert.Contains($"\"torch_dtype\": \"{dtype}\"", File.ReadAllText(folder.File("out", "config.json")));
        foreach (string file in new[] { "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json" })
        {
            CollectionAssert.AreEqual(
                File.ReadAllBytes(Path.Combine(TestData.TinyLlama, file)), File.ReadAllBytes(folder.File("out", file)));
        }

        // The same answers again, and the same folder again, from what was saved.
        using SorsaTransformer reloaded = _mlContext.Sorsa().LoadModel(folder.File("out"), generation: options.Generation);
        CollectionAssert.AreEqual(TinyTask.Answers(model, data), TinyTask.Answers(reloaded, data));
        reloaded.SaveHuggingFace(folder.File("again"));
        CollectionAssert.AreEqual(
            File.ReadAllBytes(folder.File("out", "model.safetensors")), File.ReadAllBytes(folder.File("again", "model.safetensors")));
        Assert.ThrowsExactly<ArgumentException>(() => model.SaveHuggingFace(folder.File("out")));
        Assert.AreEqual(
            "again out",
            string.Join(' ', Directory.GetFileSystemEntries(folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal)));
    }

    /// <summary>
    /// An untouched float32 weight is rounded too when bfloat16 is saved: logits in memory and from the folder are the same bits.
    /// </summary>
    [TestMethod]
    public void WhatIsNotTrainedIsRoundedToo()
    {
        using var folder = new TemporaryFolder();
        string wide = folder.File("wide");
        using (SorsaTransformer source = _mlContext.Sorsa().LoadModel(TestData.TinyLlama))
        {
            source.SaveHuggingFace(wide);
        }

        Widen(wide);
        Options options = TinyTask.Options();
        options.ModelFolder = wide;
        options.SavedType = WeightType.BFloat16;
        IDataView data = TinyTask.Data(_mlContext);
        using SorsaTransformer model = _mlContext.Sorsa().FineTune(options).Fit(data);
        _mlContext.Model.Save(model, data.Schema, folder.File("model.zip"));
        model.SaveHuggingFace(folder.File("out"));

        using var loaded = (SorsaTransformer)_mlContext.Model.Load(folder.File("model.zip"), out _);
        loaded.SaveHuggingFace(folder.File("reloaded"));

        CollectionAssert.AreEqual(
            File.ReadAllBytes(folder.File("out", "model.safetensors")), File.ReadAllBytes(folder.File("reloaded", "model.safetensors")));
        CollectionAssert.AreEqual(TinyTask.Answers(model, data), TinyTask.Answers(loaded, data));
    }

    [TestMethod]
    public void TransformIsLazyAndADisposedModelSaysSo()
    {
        SorsaTransformer model = _mlContext.Sorsa().LoadModel(TestData.TinyLlama, generation: new GenerationOptions { MaxNewTokens = 4 });
        IDataView lazy = model.Transform(TinyTask.Data(_mlContext));
        string streamed = string.Concat(model.Stream(TinyTask.Rows[0].Prompt));

        Assert.AreEqual(model.Generate(TinyTask.Rows[0].Prompt), streamed);
        Assert.AreEqual(streamed, lazy.GetColumn<string>("Reply").First());
        model.Dispose();
        model.Dispose();

        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Generate("again"));
        Assert.ThrowsExactly<ObjectDisposedException>(() => lazy.GetColumn<string>("Reply").ToArray());
    }

    [TestMethod]
    public void TheLogTellsOfRowsAndSteps()
    {
        var messages = new List<string>();
        _mlContext.Log += (_, e) => messages.Add(e.Message);
        Options options = TinyTask.Options();
        options.MaxResponseLength = 5;
        IDataView data = _mlContext.Data.LoadFromEnumerable(TinyTask.Rows.Append(new TinyTask.Row { Prompt = " ", Response = "x" }));

        using SorsaTransformer model = _mlContext.Sorsa().FineTune(options).Fit(data);

        Assert.Contains(
            message => message.Contains("12 rows; 1 dropped for an empty prompt or response", StringComparison.Ordinal), messages);
        Assert.Contains(
            message => message.Contains(
                "12 of 12 responses were cut, the end token first: MaxResponseLength is 5", StringComparison.Ordinal),
            messages);
        Assert.Contains(message => message.Contains("projections, for 3 steps", StringComparison.Ordinal), messages);
        Assert.Contains(message => message.Contains("Step 3 of 3: loss", StringComparison.Ordinal), messages);
    }

    [TestMethod]
    public void AGpuThatIsNotThereIsAnErrorUnlessTheCpuMayStandIn()
    {
        if (cuda.is_available())
        {
            Assert.Inconclusive("This machine has a GPU.");
        }

        _mlContext.GpuDeviceId = 0;
        _mlContext.FallbackToCpu = false;
        string message = Assert.ThrowsExactly<InvalidOperationException>(() => _mlContext.Sorsa().LoadModel(TestData.TinyLlama)).Message;
        Assert.Contains("GpuDeviceId is 0", message);

        _mlContext.FallbackToCpu = true;
        using SorsaTransformer model = _mlContext.Sorsa()
            .LoadModel(TestData.TinyLlama, generation: new GenerationOptions { MaxNewTokens = 2 });
        Assert.IsNotNull(model.Generate("1 + 1 ="));
    }

    private static Options Asking(string column)
    {
        Options options = TinyTask.Options();
        options.PromptColumnName = column;
        return options;
    }

    /// <summary>Makes a folder's bfloat16 weights float32, with digits that bfloat16 cannot hold.</summary>
    private static void Widen(string folder)
    {
        using var scope = NewDisposeScope();
        KeyValuePair<string, Tensor>[] weights;
        using (Checkpoint checkpoint = Checkpoint.OpenFolder(folder))
        {
            weights = [.. checkpoint.Tensors.Select(
                named => KeyValuePair.Create(named.Key, named.Value.to(ScalarType.Float32) * 1.0009765625))];
        }

        using FileStream stream = File.Create(Path.Combine(folder, "model.safetensors"));
        CheckpointWriter.Write(stream, weights, ScalarType.Float32);
    }
}
