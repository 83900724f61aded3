using System.Globalization;
using System.Security.Cryptography;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Files;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>Which checkpoints are there after which step, and which of them a run goes on from.</summary>
[TestClass]
[TestCategory("Resume")]
public sealed class TrainingCheckpointsTests
{
    private static readonly RunIdentity s_identity = Identity("0.001", "2");

    [TestMethod]
    public void TheNewestStayAndTheBest()
    {
        using var run = new Run();

        run.Steps(steps: 10, every: 2, keep: 2, evaluations: [(4, 1.5), (8, 2.5)]);

        Assert.AreEqual("4 8 10", run.Kept);
    }

    [TestMethod]
    public void EveryEpochEndsWithOne()
    {
        using var run = new Run();

        run.Steps(steps: 7, every: 100, keep: 9, stepsPerEpoch: 3);

        Assert.AreEqual("3 6", run.Kept);
    }

    [TestMethod]
    public void TheNewestWholeOneIsGoneOnFrom()
    {
        using var run = new Run();
        run.Steps(steps: 6, every: 2, keep: 3);
        File.WriteAllText(Path.Combine(run.Folder, "checkpoint-6", "training.json"), "{}");

        Assert.AreEqual(4, run.Resume());
        Assert.HasCount(1, run.Warnings);
        StringAssert.Contains(run.Warnings[0], "checkpoint-6' is damaged: 'training.json' is not as it was written");

        run.Steps(steps: 6, every: 6, keep: 3, tolerant: true);

        Assert.AreEqual(6, run.Resume());
    }

    [TestMethod]
    [DataRow("training.safetensors")]
    [DataRow("training.json")]
    [DataRow(Checksums.FileName)]
    public void WhereNoneIsWholeNothingBeginsAnew(string file)
    {
        using var run = new Run();
        run.Steps(steps: 2, every: 2, keep: 1);
        string path = Path.Combine(run.Folder, "checkpoint-2", file);
        byte[] whole = File.ReadAllBytes(path);
        foreach (byte[] broken in new[] { whole[..(whole.Length / 2)], [], [.. whole[..^1], (byte)(whole[^1] ^ 1)] })
        {
            File.WriteAllBytes(path, broken);

            InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(() => run.Resume());

            StringAssert.Contains(error.Message, "Remove them, or name another CheckpointFolder");
        }
    }

    /// <summary>Whole by its checksums, and wrong inside: nothing of it is left in the state that the older one is put into.</summary>
    [TestMethod]
    public void OneThatDoesNotFitLeavesNoTrace()
    {
        using var run = new Run();
        run.Steps(steps: 6, every: 2, keep: 3);
        string folder = Path.Combine(run.Folder, "checkpoint-6"), config = Path.Combine(folder, "training.json");
        string sums = Path.Combine(folder, Checksums.FileName), before = Hash(config);
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"step\": 6", "\"step\": 5", StringComparison.Ordinal));
        File.WriteAllText(sums, File.ReadAllText(sums).Replace(before, Hash(config), StringComparison.Ordinal));

        Assert.AreEqual(4, run.Resume());

        StringAssert.Contains(run.Warnings.Single(), "it is of step 5 and holds 6 losses");

        static string Hash(string path) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path)));
    }

    [TestMethod]
    public void AnotherRunIsRefusedWithTheDifference()
    {
        using var run = new Run();
        run.Steps(steps: 2, every: 2, keep: 1);

        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(
            () => run.Resume(identity: Identity("0.002", "2")));

        StringAssert.Contains(error.Message, "LearningRate: the checkpoint has '0.001', this training '0.002'");
    }

    [TestMethod]
    public void AnotherMachineIsWarnedOf()
    {
        using var run = new Run();
        run.Steps(steps: 2, every: 2, keep: 1);

        Assert.AreEqual(2, run.Resume(identity: Identity("0.001", "16")));

        Assert.HasCount(1, run.Warnings);
        StringAssert.Contains(run.Warnings[0], "Threads: the checkpoint has '2', this training '16'");
    }

    [TestMethod]
    public void NeverRefusesAFolderWithCheckpoints()
    {
        using var run = new Run();
        run.Steps(steps: 2, every: 2, keep: 1);

        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => run.Resume(ResumeMode.Never)).Message, "Resume is Never");
    }

    [TestMethod]
    public void RequiredRefusesAFolderWithoutCheckpoints()
    {
        using var run = new Run();

        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => run.Resume(ResumeMode.Required)).Message, "Resume is Required");
    }

    [TestMethod]
    public void OneTrainingAtATimeWritesHere()
    {
        using var run = new Run();
        using TrainingCheckpoints first = run.Open();

        IOException error = Assert.ThrowsExactly<IOException>(() => run.Open());

        StringAssert.Contains(error.Message, "another training writes there");
    }

    [TestMethod]
    public void AFullDiskIsWarnedOfAndTheOlderOneStays()
    {
        using var run = new Run { FullAt = 4 };

        run.Steps(steps: 5, every: 2, keep: 2, tolerant: true);

        Assert.AreEqual("2", run.Kept);
        Assert.IsEmpty(Directory.GetDirectories(run.Folder, "*.tmp"));
        Assert.HasCount(1, run.Warnings);
        StringAssert.Contains(run.Warnings[0], "The checkpoint of step 4 could not be written");
        Assert.AreEqual(2, run.Resume());
    }

    [TestMethod]
    public void WhatAKilledProcessLeftGoes()
    {
        using var run = new Run();
        string left = Directory.CreateDirectory(Path.Combine(run.Folder, $"checkpoint-8.{Guid.NewGuid():N}.tmp")).FullName;
        File.WriteAllText(Path.Combine(left, "training.safetensors"), "half");

        run.Open().Dispose();

        Assert.IsFalse(Directory.Exists(left));
    }

    /// <summary>
    /// As a user without rights: nothing may be made where it lies; it is another user's; or its lock is ours and the folder is not.
    /// </summary>
    [TestMethod]
    public void AFolderWithoutRightsIsRefused()
    {
        using var folder = new TemporaryFolder();
        string theirs = Directory.CreateDirectory(folder.File("theirs")).FullName;
        string closed = Directory.CreateDirectory(folder.File("closed")).FullName;
        string open = Directory.CreateDirectory(folder.File("open")).FullName;
        File.WriteAllText(Path.Combine(closed, "training.lock"), "");
        if (OperatingSystem.IsLinux())
        {
            File.SetUnixFileMode(folder.File(), (UnixFileMode)0b111_101_101);
            File.SetUnixFileMode(Path.Combine(closed, "training.lock"), (UnixFileMode)0b110_110_110);
            File.SetUnixFileMode(open, (UnixFileMode)0b111_111_111);
        }

        foreach (string path in new[] { folder.File("new"), folder.File("new", "below"), theirs, closed })
        {
            (int exitCode, string error) = WriterProcess.RunAsNobody("checkpoints", path);

            Assert.AreEqual(1, exitCode, path);
            StringAssert.StartsWith(error, $"IOException: CheckpointFolder '{path}' cannot be written");
            StringAssert.Contains(error, "Name a folder that this process may write");
        }

        Assert.AreEqual((0, ""), WriterProcess.RunAsNobody("checkpoints", Path.Combine(open, "new")));
        Assert.AreEqual("training.lock", string.Join(' ', Directory.GetFileSystemEntries(closed).Select(path => Path.GetFileName(path))));
    }

    /// <summary>Against what the files hold beside their headers.</summary>
    [TestMethod]
    [DataRow(false, false)]
    [DataRow(true, false)]
    [DataRow(true, true)]
    public void TheSizeOfACheckpointIsKnownBefore(bool hasBest, bool isAdapter)
    {
        using var run = new Run { IsAdapter = isAdapter };
        long expected = run.Size(step: 4, hasBest);

        run.Steps(steps: 4, every: 4, keep: 1, evaluations: hasBest ? [(4, 1.5)] : []);

        long tensors = Directory.GetFiles(Path.Combine(run.Folder, "checkpoint-4"), "*.safetensors")
            .Select(File.ReadAllBytes)
            .Sum(file => file.Length - sizeof(long) - BitConverter.ToInt64(file));
        Assert.AreEqual(tensors, expected + (hasBest ? 2 * sizeof(double) : 0));
    }

    private static RunIdentity Identity(string learningRate, string threads) => new(
        new Dictionary<string, string> { ["LearningRate"] = learningRate, ["Training rows"] = "20, 1a" },
        new Dictionary<string, string> { ["Threads"] = threads });

    /// <summary>A state that is advanced by hand.</summary>
    private sealed class Run : IDisposable
    {
        private readonly TemporaryFolder _temporary = new();
        private readonly CausalLM _model = TinyModel.Create();
        private readonly AdapterSet _adapters;

        public Run() => _adapters = TinyModel.Adapt(_model, targets: ["q_proj"]);

        /// <summary>The step at which the disk has no room left.</summary>
        public int? FullAt { get; init; }

        /// <summary>Whether the folders are adapters, too.</summary>
        public bool IsAdapter { get; init; }

        public string Folder => _temporary.File("checkpoints");

        public List<string> Warnings { get; } = [];

        public string Kept => string.Join(' ', Directory.GetDirectories(Folder)
            .Select(folder => int.Parse(Path.GetFileName(folder)["checkpoint-".Length..], CultureInfo.InvariantCulture)).Order());

        public TrainingCheckpoints Open(int every = 1, int keep = 1, int stepsPerEpoch = 1000, ResumeMode resume = ResumeMode.Auto) =>
            new(new CheckpointSettings(Folder, every, keep, resume), stepsPerEpoch, Warnings.Add);

        /// <summary>Goes on to a step.</summary>
        public void Steps(
            int steps, int every, int keep, int stepsPerEpoch = 1000, (int Step, double Loss)[]? evaluations = null, bool tolerant = false)
        {
            using var state = new TrainingState(_adapters, TinyModel.Settings);
            using TrainingCheckpoints checkpoints = Open(every, keep, stepsPerEpoch);
            checkpoints.Resume(
                state, s_identity, () => FullAt == state.Step ? throw new IOException("No space left on device") : View());
            while (state.Step < steps)
            {
                state.Step++;
                state.Losses.Add(1);
                foreach ((int step, double loss) in (evaluations ?? []).Where(at => at.Step == state.Step))
                {
                    state.Evaluations.Add((step, loss));
                    state.Best.Add(loss);
                }

                checkpoints.AfterStep(state);
            }

            Assert.IsTrue(tolerant || Warnings.Count == 0, string.Join(' ', Warnings));
        }

        public long Size(int step, bool hasBest)
        {
            using var state = new TrainingState(_adapters, TinyModel.Settings);
            using AdapterWeights? adapter = View();
            return TrainingCheckpoint.Size(state, step, hasBest, adapter);
        }

        private AdapterWeights? View() => IsAdapter ? AdapterWeights.ViewOf(_adapters, "of a test") : null;

        public int Resume(ResumeMode resume = ResumeMode.Auto, RunIdentity? identity = null)
        {
            using var state = new TrainingState(_adapters, TinyModel.Settings);
            using TrainingCheckpoints checkpoints = Open(resume: resume);
            checkpoints.Resume(state, identity ?? s_identity, () => null);
            Assert.HasCount(state.Step, state.Losses);
            return state.Step;
        }

        public void Dispose()
        {
            _adapters.Discard();
            _model.Dispose();
            _temporary.Dispose();
        }
    }
}
