using System.Diagnostics;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>A file that is written again is the old one or the new one, and nothing lies beside it.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed class WholeFileTests
{
    [TestMethod]
    [DataRow(null)]
    [DataRow("")]
    [DataRow("what was there before, and is longer")]
    public void TheTextIsThereAndNothingElse(string? before)
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("run.json");
        if (before is not null)
        {
            File.WriteAllText(file, before);
        }

        WholeFile.Write(file, "über\n");

        Assert.AreEqual("über\n", File.ReadAllText(file));
        Assert.HasCount(1, Directory.GetFileSystemEntries(folder.Path));
    }

    /// <summary>Somebody who has the old file open goes on reading it: it was not written into.</summary>
    [TestMethod]
    public void TheOldFileStaysWholeUntilTheNewOneIs()
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("replies.jsonl");
        File.WriteAllText(file, "old");
        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));

        WholeFile.Write(file, "new");

        Assert.AreEqual("old", reader.ReadToEnd());
        Assert.AreEqual("new", File.ReadAllText(file));
    }

    [TestMethod]
    public void ALinkStaysALink()
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("there.json"), link = folder.File("here.json");
        File.WriteAllText(file, "old");
        File.CreateSymbolicLink(link, file);

        WholeFile.Write(link, "new");

        Assert.AreEqual(file, new FileInfo(link).LinkTarget);
        Assert.AreEqual("new", File.ReadAllText(file));
    }

    /// <summary>An empty file stays empty, as any other stays what it was.</summary>
    [TestMethod]
    [DataRow("")]
    [DataRow("old")]
    public void WhatIsBrokenOffLeavesTheOldFile(string before)
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("replies.jsonl");
        File.WriteAllText(file, before);

        Assert.ThrowsExactly<OperationCanceledException>(() => WholeFile.Write(file, writer =>
        {
            writer.WriteLine("one");
            writer.Flush();
            throw new OperationCanceledException();
        }));

        Assert.AreEqual(before, File.ReadAllText(file));
        Assert.HasCount(1, Directory.GetFileSystemEntries(folder.Path));
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux | OperatingSystems.OSX)]
    public void ADeviceIsKnown()
    {
        Assert.IsTrue(WholeFile.IsDevice("/dev/null", out FileStream? device));
        device.Dispose();
    }

    /// <summary>What is written comes out at the other end, and the pipe is still one.</summary>
    [TestMethod]
    [OSCondition(OperatingSystems.Linux | OperatingSystems.OSX)]
    public void APipeIsWrittenInto()
    {
        using var folder = new TemporaryFolder();
        string pipe = folder.File("pipe");
        using (Process made = Process.Start("mkfifo", [pipe]))
        {
            made.WaitForExit();
        }

        using Process reader = Process.Start(new ProcessStartInfo("cat", [pipe]) { RedirectStandardOutput = true })!;
        WholeFile.Write(pipe, "new");

        Assert.AreEqual("new", reader.StandardOutput.ReadToEnd());
    }

    [TestMethod]
    public void AFolderThatIsNotThereIsAnError()
    {
        using var folder = new TemporaryFolder();

        Assert.ThrowsExactly<DirectoryNotFoundException>(() => WholeFile.Write(folder.File("none", "x.json"), "new"));
    }
}
