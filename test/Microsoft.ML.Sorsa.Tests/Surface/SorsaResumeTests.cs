using Microsoft.ML;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tests.Files;
using Microsoft.ML.Sorsa.Tests.Interop;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Surface;

/// <summary>A training that was interrupted, seen from outside: the model must be that of one that was left alone.</summary>
[TestClass]
[TestCategory("Surface")]
[TestCategory("Resume")]
[TestCategory("Numeric")]
public sealed class SorsaResumeTests
{
    private readonly MLContext _mlContext = TestDevice.Context();

    [TestMethod]
    [DataRow(FineTuningMethod.Sorsa)]
    [DataRow(FineTuningMethod.Full)]
    [DataRow(FineTuningMethod.GaLore)]
    [DataRow(FineTuningMethod.Lisa)]
    public void FitGoesOnWhereItWasCancelled(FineTuningMethod method)
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer alone = Fit(Set(method));
        List<int> steps = [];
        using var cancellation = new CancellationTokenSource();
        Options options = Set(method, folder);
        options.CancellationToken = cancellation.Token;
        options.Progress = new Listener(progress =>
        {
            steps.Add(progress.Step);
            if (progress.Step == 4)
            {
                cancellation.Cancel();
            }
        });
        Assert.ThrowsExactly<OperationCanceledException>(() => Fit(options));

        options.CancellationToken = CancellationToken.None;
        using SorsaTransformer resumed = Fit(options);

        Assert.AreEqual("1 2 3 4 5 6", string.Join(' ', steps));
        CollectionAssert.AreEqual(TinyTask.LogitBits(alone.Model.Network), TinyTask.LogitBits(resumed.Model.Network));
    }

    /// <summary>A run that ran out of memory goes on with it, and one that has room again without it: the bits are the same.</summary>
    [TestMethod]
    [DataRow(FineTuningMethod.Sorsa)]
    [DataRow(FineTuningMethod.Full)]
    [DataRow(FineTuningMethod.GaLore)]
    [DataRow(FineTuningMethod.Lisa)]
    public void GradientCheckpointingMayBeSwitchedBetween(FineTuningMethod method)
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer alone = Fit(Set(method));
        List<int> steps = [];
        foreach (int end in new[] { 2, 4 })
        {
            using var cancellation = new CancellationTokenSource();
            Options options = Set(method, folder);
            options.GradientCheckpointing = end == 4;
            options.CancellationToken = cancellation.Token;
            options.Progress = new Listener(progress =>
            {
                steps.Add(progress.Step);
                if (progress.Step == end)
                {
                    cancellation.Cancel();
                }
            });
            Assert.ThrowsExactly<OperationCanceledException>(() => Fit(options));
        }

        Options rest = Set(method, folder);
        rest.Progress = new Listener(progress => steps.Add(progress.Step));
        using SorsaTransformer resumed = Fit(rest);

        Assert.AreEqual("1 2 3 4 5 6", string.Join(' ', steps));
        CollectionAssert.AreEqual(TinyTask.LogitBits(alone.Model.Network), TinyTask.LogitBits(resumed.Model.Network));
    }

    [TestMethod]
    public void ATrainingThatIsDoneIsNotRepeated()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer first = Fit(Set(FineTuningMethod.Sorsa, folder));
        Options options = Set(FineTuningMethod.Sorsa, folder);
        List<int> steps = [];
        options.Progress = new Listener(progress => steps.Add(progress.Step));

        using SorsaTransformer again = Fit(options);

        Assert.IsEmpty(steps);
        CollectionAssert.AreEqual(TinyTask.LogitBits(first.Model.Network), TinyTask.LogitBits(again.Model.Network));
    }

    /// <summary>Merging the adapter of the last checkpoint and training to the end are the same, without early stopping.</summary>
    [TestMethod]
    public void ACheckpointIsAnAdapter()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = Fit(Set(FineTuningMethod.Sorsa, folder));
        using SorsaTransformer loaded = _mlContext.Sorsa().LoadModel(TestData.TinyLlama);

        loaded.LoadAdapter("last", folder.File("checkpoints", "checkpoint-6"));
        loaded.UseAdapter("last");

        CollectionAssert.AreEqual(TinyTask.LogitBits(trained.Model.Network), TinyTask.LogitBits(loaded.Model.Network));
    }

    [TestMethod]
    public void OtherOptionsAndOtherRowsAreRefusedWithTheDifference()
    {
        using var folder = new TemporaryFolder();
        Fit(Set(FineTuningMethod.Sorsa, folder)).Dispose();
        Options options = Set(FineTuningMethod.Sorsa, folder);
        options.WeightDecay = 0.5;

        string other = Assert.ThrowsExactly<InvalidOperationException>(() => Fit(options)).Message;
        string rows = Assert.ThrowsExactly<InvalidOperationException>(() => _mlContext.Sorsa()
            .FineTune(Set(FineTuningMethod.Sorsa, folder))
            .Fit(_mlContext.Data.LoadFromEnumerable(TinyTask.Rows.Reverse()))).Message;

        Assert.Contains("WeightDecay: the checkpoint has '0', this training '0.5'", other);
        Assert.Contains("Training rows: the checkpoint has '12, ", rows);
        Assert.DoesNotContain("WeightDecay", rows);
    }

    [TestMethod]
    public void AModelObjectGoesOn()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var alone = LookAlikes.Random("llama", ForeignModelsTrainingTests.Config.Spec);
        using var interrupted = LookAlikes.Random("llama", ForeignModelsTrainingTests.Config.Spec);
        FitObject(alone, Object()).Dispose();
        using var cancellation = new CancellationTokenSource();
        Options options = Object();
        (options.CheckpointFolder, options.CancellationToken) = (folder.File("checkpoints"), cancellation.Token);
        options.Progress = new Listener(progress =>
        {
            if (progress.Step == 4)
            {
                cancellation.Cancel();
            }
        });
        Assert.ThrowsExactly<OperationCanceledException>(() => FitObject(interrupted, options));

        options.CancellationToken = CancellationToken.None;
        FitObject(interrupted, options).Dispose();

        Dictionary<string, Tensor> expected = alone.state_dict().ToDictionary(named => named.Key, named => named.Value);
        Assert.IsTrue(interrupted.state_dict().All(named => named.Value.cpu().bytes.SequenceEqual(expected[named.Key].cpu().bytes)));

        Options Object()
        {
            Options settings = ForeignModelsTrainingTests.Settings([]);
            (settings.NumberOfEpochs, settings.Progress) = (2, null);
            return settings;
        }

        SorsaTransformer FitObject(nn.Module model, Options settings) =>
            _mlContext.Sorsa().FineTune(model, ForeignModelsTrainingTests.Tokens(), settings).Fit(TinyTask.Data(_mlContext));
    }

    /// <summary>A disk that is filled by somebody else after the first checkpoint.</summary>
    [TestMethod]
    public void AFullDiskEndsNoTraining()
    {
        using var folder = new TemporaryFolder();
        (Options options, long size) = EveryStep(folder);
        string small = Directory.CreateDirectory(folder.File("small")).FullName;
        using MountPoint disk = MountPoint.Memory(small, $"size={size * 8 / 1024}k");
        options.CheckpointFolder = Path.Combine(small, "checkpoints");
        options.Progress = new Listener(progress =>
        {
            if (progress.Step == 2)
            {
                File.WriteAllBytes(
                    Path.Combine(small, "filler"), new byte[new DriveInfo(small).AvailableFreeSpace - (size / 2)]);
            }
        });
        List<string> warnings = [];
        _mlContext.Log += (_, e) => warnings.Add(e.RawMessage);
        Options without = Set(FineTuningMethod.Sorsa);
        without.Rank = options.Rank;
        using SorsaTransformer alone = Fit(without);

        using SorsaTransformer trained = Fit(options);

        Assert.IsTrue(warnings.Any(warning => warning.Contains("The checkpoint of step 2 could not be written", StringComparison.Ordinal)));
        CollectionAssert.AreEqual(TinyTask.LogitBits(alone.Model.Network), TinyTask.LogitBits(trained.Model.Network));
        Assert.AreEqual("checkpoint-1", string.Join(
            ' ', Directory.GetDirectories(options.CheckpointFolder).Select(path => Path.GetFileName(path))));
        Checksums.Verify(Path.Combine(options.CheckpointFolder, "checkpoint-1"));
    }

    /// <summary>Two stay and one is written: there must be room for three, and with one step left for one.</summary>
    [TestMethod]
    public void TooLittleRoomIsAnErrorBeforeTraining()
    {
        using var folder = new TemporaryFolder();
        (Options options, long size) = EveryStep(folder);
        string small = Directory.CreateDirectory(folder.File("small")).FullName;
        using MountPoint disk = MountPoint.Memory(small, $"size={size * 5 / 2 / 1024}k");
        (options.CheckpointFolder, options.KeepCheckpoints) = (Path.Combine(small, "checkpoints"), 2);
        bool hasTrained = false;
        options.Progress = new Listener(_ => hasTrained = true);

        string error = Assert.ThrowsExactly<IOException>(() => Fit(options)).Message;

        Assert.IsFalse(hasTrained);
        StringAssert.Contains(error, $"CheckpointFolder '{options.CheckpointFolder}' has too little room");
        StringAssert.Contains(error, "up to 3 are there at once");
        StringAssert.Contains(error, "lower KeepCheckpoints (now 2)");
        options.KeepCheckpoints = 1;
        Fit(options).Dispose();
        Assert.IsTrue(hasTrained);
    }

    /// <summary>Before a step is trained.</summary>
    [TestMethod]
    public void AFolderThatCannotBeWrittenIsRefused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("checkpoints"), "in the way");
        Options options = Set(FineTuningMethod.Sorsa, folder);
        bool hasTrained = false;
        options.Progress = new Listener(_ => hasTrained = true);

        Assert.Throws<IOException>(() => Fit(options));

        Assert.IsFalse(hasTrained);
    }

    [TestMethod]
    public void WhatNeedsAFolderIsRefusedWithoutOne()
    {
        foreach (Action<Options> set in new Action<Options>[]
        {
            options => options.CheckpointSteps = 7, options => options.KeepCheckpoints = 7,
            options => options.Resume = ResumeMode.Required,
        })
        {
            Options options = TinyTask.Options();
            set(options);

            Assert.Contains(
                "CheckpointFolder is not set", Assert.ThrowsExactly<ArgumentException>(() => _mlContext.Sorsa().FineTune(options)).Message);
        }
    }

    [TestMethod]
    public void ASweepRefusesCheckpoints()
    {
        Options options = TinyTask.Options();
        options.CheckpointFolder = "checkpoints";

        Assert.Contains("for one training",
            Assert.ThrowsExactly<ArgumentException>(() => _mlContext.Sorsa().CreateExperiment().SetTrainer(options)).Message);
    }

    /// <summary>
    /// Options that write a checkpoint at every step, and the bytes of the first: of a rank at which they are those of the tensors.
    /// </summary>
    private (Options Options, long Size) EveryStep(TemporaryFolder folder)
    {
        Options options = Set(FineTuningMethod.Sorsa, folder);
        (options.CheckpointSteps, options.KeepCheckpoints, options.Rank) = (1, 9, 64);
        Fit(options).Dispose();
        return (options, Directory.GetFiles(folder.File("checkpoints", "checkpoint-1")).Sum(file => new FileInfo(file).Length));
    }

    private SorsaTransformer Fit(Options options) => _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext));

    /// <summary>12 rows in batches of 4, twice: six steps.</summary>
    private static Options Set(FineTuningMethod method, TemporaryFolder? folder = null)
    {
        Options options = TinyTask.Options();
        (options.Method, options.NumberOfEpochs) = (method, 2);
        if (!options.HasEffect(nameof(options.TargetModules)))
        {
            (options.Rank, options.TargetModules) = (null, new Options().TargetModules);
        }

        options.Dropout = options.HasEffect(nameof(options.Dropout)) ? 0.1 : 0;
        options.GradientProjection = method == FineTuningMethod.GaLore ? new GradientProjection { UpdateSteps = 2 } : null;
        options.LayerSampling = method == FineTuningMethod.Lisa ? new LayerSampling { IntervalSteps = 2 } : null;

        if (folder is not null)
        {
            (options.CheckpointFolder, options.CheckpointSteps) = (folder.File("checkpoints"), 5);
        }

        return options;
    }

    private sealed class Listener(Action<SorsaTrainingProgress> act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => act(value);
    }
}
