using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Tests.Checkpoints;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>Files that change while a model is in use: one that is mapped must not, one that was read may.</summary>
[TestClass]
[TestCategory("Cases")]
[TestCategory("Checkpoints")]
public sealed class MappedFileCases
{
    private static readonly MLContext s_ml = new();

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void AttackAFileThatWasReadMayBeCutShort(bool sharded)
    {
        using var temporary = new TemporaryFolder();
        var model = new EditedModel(temporary, TestData.TinyLlama);
        _ = sharded ? model.Sharded() : model;
        string expected;
        using (SorsaTransformer mapped = Load(model.Folder, mapWeights: true))
        {
            expected = mapped.Generate(TinyTask.Rows[0].Prompt);
        }

        using SorsaTransformer read = Load(model.Folder, mapWeights: false);
        foreach (string file in Directory.GetFiles(model.Folder, "*.safetensors"))
        {
            using FileStream cut = File.OpenWrite(file);
            cut.SetLength(100);
        }

        Assert.AreEqual(expected, read.Generate(TinyTask.Rows[0].Prompt));
        read.SaveHuggingFace(temporary.File("saved"));
        using SorsaTransformer saved = Load(temporary.File("saved"), mapWeights: true);
        Assert.AreEqual(expected, saved.Generate(TinyTask.Rows[0].Prompt));
    }

    /// <summary>The option, seen in the process's own maps while it trains; the losses are the same to the last bit.</summary>
    [TestMethod]
    public void AttackATrainingReadsOrMapsAsItIsTold()
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Inconclusive("The maps of a process are read from Linux's /proc.");
        }

        using var temporary = new TemporaryFolder();
        string folder = new EditedModel(temporary, TestData.TinyLlama).Folder;
        var losses = new List<double[]>();
        foreach (bool map in new[] { true, false })
        {
            var watch = new MapWatch(folder);
            SorsaFineTuningTrainer.Options options = TinyTask.Options();
            options.ModelFolder = folder;
            options.MapWeights = map;
            options.ComputeType = WeightType.Checkpoint;
            options.MaxSteps = 2;
            options.Progress = watch;
            s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml)).Dispose();

            Assert.HasCount(2, watch.Losses);
            Assert.AreEqual(map, watch.WasMapped);
            losses.Add([.. watch.Losses]);
        }

        CollectionAssert.AreEqual(losses[0], losses[1]);
    }

    private static SorsaTransformer Load(string folder, bool mapWeights) => s_ml.Sorsa().LoadModel(
        folder, generation: new GenerationOptions { MaxNewTokens = 12 }, computeType: WeightType.Checkpoint, mapWeights: mapWeights);

    private sealed class MapWatch(string folder) : IProgress<SorsaTrainingProgress>
    {
        public List<double> Losses { get; } = [];

        public bool WasMapped { get; private set; }

        public void Report(SorsaTrainingProgress value)
        {
            Losses.Add(value.Loss);
            WasMapped |= File.ReadLines("/proc/self/maps").Any(line => line.Contains(folder, StringComparison.Ordinal));
        }
    }
}
