extern alias core;

using Microsoft.ML.Sorsa.Tests.Files;
using Microsoft.ML.Sorsa.Tests.Surface;
using NewFile = core::Microsoft.ML.Sorsa.Files.NewFile;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>Saving where containers save to: mount points, own folders among foreign ones, links, full disks.</summary>
[TestClass]
[TestCategory("Cases")]
[TestCategory("Persistence")]
public sealed class SavingCases
{
    private static readonly MLContext s_ml = new();
    private static SorsaTransformer s_model = null!;

    [ClassInitialize]
    public static void Train(TestContext context)
    {
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        options.Method = FineTuningMethod.Lora;
        options.MaxSteps = 1;
        s_model = s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml));
    }

    [ClassCleanup]
    public static void Free() => s_model.Dispose();

    [TestMethod]
    public void Case08AnEmptyMountPoint()
    {
        using var temporary = new TemporaryFolder();
        foreach (Action<string> save in Folders)
        {
            using var mount = MountPoint.Memory(temporary.File("out"));
            save(temporary.File("out"));
            VerifyWhole(temporary.File("out"));
        }
    }

    /// <summary>A container whose own file system is read-only, with a volume in it.</summary>
    [TestMethod]
    public void Case08AVolumeInAReadOnlyFileSystem()
    {
        using var temporary = new TemporaryFolder();
        string root = temporary.File("root"), volume = Path.Combine(root, "volume");
        using var outer = MountPoint.Memory(root);
        using var inner = MountPoint.Memory(volume);
        outer.MakeReadOnly();

        s_model.SaveHuggingFace(volume);
        VerifyWhole(volume);
        Action[] refused =
        [
            () => s_model.SaveHuggingFace(Path.Combine(root, "new")),
            () => s_model.SaveAdapter(Path.Combine(root, "new")),
            () => s_model.Save(Path.Combine(root, "model.zip")),
            () => s_model.MergeReport!.Save(Path.Combine(root, "report.csv")),
        ];
        foreach (Action save in refused)
        {
            string message = Assert.ThrowsExactly<IOException>(save).Message;
            Assert.Contains($"nothing may be made in the folder '{root}' (read-only file system)", message);
            Assert.DoesNotContain(".tmp", message);
        }
    }

    [TestMethod]
    public void Case08AnOwnFolderInAForeignParent()
    {
        using var temporary = new TemporaryFolder();
        string own = Directory.CreateDirectory(temporary.File("own")).FullName, file = temporary.File("file");
        File.WriteAllText(file, "old and longer than nothing");
        MakeForeign(temporary.Path, own, file);

        (int folderCode, string folderError) = WriterProcess.RunAsNobody("folder", own);
        (int fileCode, string fileError) = WriterProcess.RunAsNobody("file", file);

        Assert.AreEqual(0, folderCode, folderError);
        string[] written = [.. Directory.GetFiles(own).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        Assert.AreEqual("a b", string.Join(' ', written));
        Assert.AreEqual(0, fileCode, fileError);
        Assert.AreEqual(20_000, new FileInfo(file).Length);
    }

    [TestMethod]
    public void Case08AForeignParentIsNamed()
    {
        using var temporary = new TemporaryFolder();
        MakeForeign(temporary.Path);
        foreach (string kind in new[] { "folder", "file" })
        {
            (int code, string error) = WriterProcess.RunAsNobody(kind, temporary.File("new"));

            Assert.AreEqual(1, code, error);
            Assert.Contains(
                $"UnauthorizedAccessException: '{temporary.File("new")}' cannot be written: nothing may be made in the folder "
                + $"'{temporary.Path}' (access denied)", error);
        }
    }

    [TestMethod]
    public void Case08ASymbolicLinkToAnEmptyFolder()
    {
        foreach (Action<string> save in Folders)
        {
            using var temporary = new TemporaryFolder();
            string real = Directory.CreateDirectory(temporary.File("real")).FullName, link = temporary.File("link");
            Directory.CreateSymbolicLink(link, real);

            save(link);

            Assert.AreEqual(real, new DirectoryInfo(link).LinkTarget);
            VerifyWhole(real);
        }
    }

    /// <summary>A container's single file: neither renaming onto it nor removing it is possible.</summary>
    [TestMethod]
    public void Case08AMountedFile()
    {
        using var temporary = new TemporaryFolder();
        string host = temporary.File("host.zip"), zip = temporary.File("out", "model.zip");
        Directory.CreateDirectory(temporary.File("out"));
        File.WriteAllText(host, "");
        File.WriteAllText(zip, "");
        using var mount = MountPoint.Bind(host, zip);

        s_model.Save(zip);

        using SorsaTransformer loaded = s_ml.Sorsa().LoadZip(host);
        Assert.AreEqual(s_model.Generate("1 + 1"), loaded.Generate("1 + 1"));
        Assert.HasCount(1, Directory.GetFileSystemEntries(temporary.File("out")));
    }

    /// <summary>The weights have 2.4 MB; with the file that ML.NET made, nothing unreadable stays.</summary>
    [TestMethod]
    [DataRow("1m")]
    [DataRow("2200k")]
    public void Case08AFullDiskLeavesNothing(string size)
    {
        using var temporary = new TemporaryFolder();
        string disk = temporary.File("disk");
        using var mount = MountPoint.Memory(disk, $"size={size}");
        Action[] saves =
        [
            () => s_model.Save(Path.Combine(disk, "model.zip")),
            () => s_model.SaveHuggingFace(Path.Combine(disk, "folder")),
            () => NewFile.Write(Path.Combine(disk, "file"), stream => stream.Write(new byte[10_000_000])),
            () => s_ml.Model.Save(s_model, null, Path.Combine(disk, "model.zip")),
        ];
        foreach (Action save in saves)
        {
            string message = Assert.ThrowsExactly<IOException>(save).Message;
            Assert.IsTrue(message.Contains("free on that disk", StringComparison.Ordinal)
                || message.Contains("the disk is full", StringComparison.Ordinal)
                || message.Contains("No space left", StringComparison.Ordinal), message);
            Assert.IsEmpty(Directory.GetFileSystemEntries(disk));
        }
    }

    [TestMethod]
    public void AttackSymlinkTarget()
    {
        using var temporary = new TemporaryFolder();
        string real = temporary.File("real.zip"), link = temporary.File("link.zip");
        File.WriteAllText(real, "old");
        File.CreateSymbolicLink(link, "real.zip");

        s_model.Save(link);

        Assert.AreEqual("real.zip", new FileInfo(link).LinkTarget);
        using SorsaTransformer loaded = s_ml.Sorsa().LoadZip(real);
        Assert.HasCount(2, Directory.GetFileSystemEntries(temporary.Path));
    }

    private static Action<string>[] Folders => [s_model.SaveHuggingFace, path => s_model.SaveAdapter(path)];

    private static void VerifyWhole(string folder)
    {
        Assert.IsFalse(Directory.GetFiles(folder).Any(path => path.EndsWith(".tmp", StringComparison.Ordinal)));
        if (File.Exists(Path.Combine(folder, "config.json")))
        {
            using SorsaTransformer model = s_ml.Sorsa().LoadModel(folder);
            return;
        }

        using SorsaTransformer start = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        start.LoadAdapter("it", folder);
        start.UseAdapter("it");
        Assert.AreEqual("it", start.ActiveAdapter);
    }

    /// <summary>A folder that everybody may look into, and what in it is the user's with the id 65534.</summary>
    private static void MakeForeign(string folder, params string[] own)
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Inconclusive("Rights are set as on Unix.");
            return;
        }

        File.SetUnixFileMode(folder, (UnixFileMode)Convert.ToInt32("755", 8));
        foreach (string path in own)
        {
            File.SetUnixFileMode(path, (UnixFileMode)Convert.ToInt32("777", 8));
        }
    }
}
