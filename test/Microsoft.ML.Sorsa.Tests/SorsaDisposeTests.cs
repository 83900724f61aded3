using Microsoft.ML;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Checkpoints;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>Tensors are counted per process, so nothing else may run.</summary>
[TestClass]
[TestCategory("Surface")]
[DoNotParallelize]
public sealed class SorsaDisposeTests
{
    /// <summary>U, s, Vt, the residual and the two factors of the start of a projection while it trains.</summary>
    private const int ParametersPerAdapter = 6;

    private static readonly DecoderConfig s_config = DecoderConfig.Load(TestData.TinyLlama);
    private static readonly int s_weights = CausalLM.Layout(s_config.Spec).Tensors.Count;
    private static readonly int s_projections = s_config.Spec.LayerCount * TinyTask.Options().TargetModules.Count;
    private static readonly MLContext s_ml = new(seed: 1);

    [TestMethod]
    public void NothingIsLeftOfADisposedModelThatWasLoaded() => LeavesNothing(s_weights, () =>
    {
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama, generation: TinyTask.Options().Generation);
        Assert.IsNotNull(model.Generate("1 + 1"));
    });

    [TestMethod]
    public void NothingIsLeftOfADisposedModelThatWasTrained() => LeavesNothing(s_weights + s_projections * (ParametersPerAdapter + 1), () =>
    {
        using SorsaTransformer model = s_ml.Sorsa()
            .FineTune(TinyTask.Options())
            .Fit(s_ml.Data.TakeRows(TinyTask.Data(s_ml), 8), TinyTask.Data(s_ml));
        Assert.IsNotNull(model.Generate("1 + 1"));
    });

    [TestMethod]
    public void NothingIsLeftOfATrainingThatWasCancelled() => LeavesNothing(s_weights + s_projections * ParametersPerAdapter, () =>
    {
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        using var cancelled = new CancellationTokenSource();
        options.CancellationToken = cancelled.Token;
        options.Progress = new Canceller(cancelled);
        Assert.Throws<OperationCanceledException>(() => s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml)));
    });

    [TestMethod]
    public void NothingIsLeftOfAModelThatCameOutOfAZip() => LeavesNothing(2 * s_weights, () =>
    {
        using var zip = new MemoryStream();
        using (SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama))
        {
            s_ml.Model.Save(model, TinyTask.Data(s_ml).Schema, zip);
        }

        zip.Position = 0;
        using var loaded = (IDisposable)s_ml.Model.Load(zip, out _);
    });

    /// <summary>Mapped and read, in its own type and in a narrower one, whose fingerprint is taken while it loads.</summary>
    [TestMethod]
    [DataRow(true, WeightType.Checkpoint)]
    [DataRow(false, WeightType.Checkpoint)]
    [DataRow(true, WeightType.Float16)]
    [DataRow(false, WeightType.Float32)]
    public void NothingIsLeftHoweverAModelIsRead(bool mapWeights, WeightType type) => LeavesNothing(s_weights, () =>
    {
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama, computeType: type, mapWeights: mapWeights);
        Assert.StartsWith("xxh128:", model.Model.Network.Fingerprint);
    });

    [TestMethod]
    public void NothingIsLeftOfAHeadThatWasCompared()
    {
        string folder = TestData.Case("06-tied-but-another-head-is-stored", "model");
        int weights = CausalLM.Layout(DecoderConfig.Load(folder).Untied().Spec).Tensors.Count;
        LeavesNothing(weights, () => s_ml.Sorsa().LoadModel(folder, promptTemplate: PromptTemplate.Format("{prompt}")).Dispose());
    }

    [TestMethod]
    public void NothingIsLeftOfAdaptersThatWereReadAndRefused()
    {
        using var folder = new TemporaryFolder();
        string own = folder.File("own"), altered = folder.File("altered");
        using (SorsaTransformer trained = TinyTask.Fit(s_ml))
        {
            trained.SaveAdapter(own);
            trained.SaveAdapter(altered);
        }

        string config = Path.Combine(altered, "adapter.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"rank\": 4", "\"rank\": 5", StringComparison.Ordinal));
        LeavesNothing(s_weights, () =>
        {
            using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
            string[] attacks = [TestData.Attack("own-adapter-nan-wrong-remedy"), TestData.Attack("adapter-without-a-projection")];
            foreach (string refused in attacks.Append(altered))
            {
                Assert.Throws<Exception>(() => model.LoadAdapter("refused", refused));
            }

            model.LoadAdapter("own", own);
            Assert.Throws<ArgumentException>(() => model.LoadAdapter("own", own));
        });
    }

    [TestMethod]
    public void NothingIsLeftOfATrainingThatDoesNotBegin()
    {
        using var folder = new TemporaryFolder();
        EditedModel model = new EditedModel(folder, TestData.TinyLlama).Set("generation_config.json", "{");
        EditedModel large = new EditedModel(folder, TestData.TinyLlama, "large").In(ScalarType.Float32);
        large.Put("model.norm.weight", full([s_config.Spec.HiddenSize], 1e6f));
        EditedModel shapes = new EditedModel(folder, TestData.TinyLlama, "shapes").Config("intermediate_size", "48");
        LeavesNothing(0, () =>
        {
            foreach (string name in new[] { model.Folder, large.Folder, shapes.Folder })
            {
                SorsaFineTuningTrainer.Options options = TinyTask.Options();
                (options.ModelFolder, options.SavedType) = (name, WeightType.Float16);
                Assert.Throws<Exception>(() => s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml)));
            }
        });
    }

    [TestMethod]
    public void ADisposedModelSaysSo()
    {
        SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        model.Dispose();
        model.Dispose();
        Assert.Throws<ObjectDisposedException>(() => model.Generate("1 + 1"));
        Assert.Throws<ObjectDisposedException>(() => model.Stream("1 + 1").Count());
        using var zip = new MemoryStream();
        Assert.Throws<ObjectDisposedException>(() => s_ml.Model.Save(model, TinyTask.Data(s_ml).Schema, zip));
    }

    [TestMethod]
    public void AStreamEndsWhereTheModelIsDisposed()
    {
        SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        using IEnumerator<string> pieces = model.Stream(TinyTask.Rows[0].Prompt).GetEnumerator();
        Assert.IsTrue(pieces.MoveNext());
        model.Dispose();
        Assert.Throws<ObjectDisposedException>(() => pieces.MoveNext());
    }

    /// <param name="parameters">
    /// The Parameter objects that are made: each counts twice and goes once (TorchSharp 0.107), though its memory goes whole.
    /// </param>
    /// <param name="act">What must free all that it takes.</param>
    private static void LeavesNothing(int parameters, Action act)
    {
        // What earlier tests left to the collector must not go while we count.
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        long start = Tensor.TotalCount;
        new Parameter(zeros(3)).Dispose();
        long before = Tensor.TotalCount;
        act();
        Assert.AreEqual((before - start) * parameters, Tensor.TotalCount - before);
    }

    private sealed class Canceller(CancellationTokenSource source) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => source.Cancel();
    }
}
