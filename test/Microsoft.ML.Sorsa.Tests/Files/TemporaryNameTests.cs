extern alias core;

using Microsoft.ML.Sorsa.Files;
using DirectorySync = core::Microsoft.ML.Sorsa.Files.DirectorySync;
using NewFile = core::Microsoft.ML.Sorsa.Files.NewFile;
using TemporaryName = core::Microsoft.ML.Sorsa.Files.TemporaryName;

namespace Microsoft.ML.Sorsa.Tests.Files;

/// <summary>What a killed process leaves goes with the next write to the same place, and nothing else does.</summary>
[TestClass]
[TestCategory("Files")]
public sealed class TemporaryNameTests
{
    private const string Hex = "0123456789abcdef0123456789abcdef";

    [TestMethod]
    [DataRow("file")]
    [DataRow("folder")]
    [DataRow("folder that is there")]
    public void WhatAKilledProcessLeftIsRemovedByTheNextWriter(string kind)
    {
        using var temporary = new TemporaryFolder();
        string target = Prepare(temporary, kind);
        using (WriterProcess writer = WriterProcess.Start(kind[..Math.Min(6, kind.Length)], target))
        {
            writer.Kill();
        }

        Assert.IsNotEmpty(Leftovers(temporary));
        Write(kind, target);

        Assert.IsEmpty(Leftovers(temporary));
        Assert.IsTrue(Path.Exists(target));
    }

    [TestMethod]
    public void WhatALiveProcessWritesIsLeftAlone()
    {
        using var temporary = new TemporaryFolder();
        string file = temporary.File("a"), folder = temporary.File("b");
        using WriterProcess first = WriterProcess.Start("file", file), second = WriterProcess.Start("folder", folder);
        string[] live = Leftovers(temporary);

        Write("file", file);
        TemporaryName.RemoveLeftovers(temporary.Path);

        CollectionAssert.AreEqual(live, Leftovers(temporary));
        first.GoOn();
        second.GoOn();
        Assert.AreEqual(0, first.WaitForExit());
        Assert.AreEqual(0, second.WaitForExit());
        Assert.AreEqual(20_000, new FileInfo(file).Length);
        Assert.AreEqual(20_000, new FileInfo(Path.Combine(folder, "b")).Length);
        Assert.IsEmpty(Leftovers(temporary));
    }

    [TestMethod]
    public void OnlyExactlySuchNamesAreRemoved()
    {
        using var temporary = new TemporaryFolder();
        string[] others =
            [$"b.{Hex}.tmp", $"a.{Hex}", $"a.{Hex.ToUpperInvariant()}.tmp", $"a.{Hex[1..]}.tmp", $"aa.{Hex}.tmp", "a.tmp", Hex];
        foreach (string name in others.Append($"a.{Hex}.tmp"))
        {
            File.WriteAllText(temporary.File(name), "x");
        }

        Write("file", temporary.File("a"));

        CollectionAssert.AreEquivalent(
            others.Append("a").ToArray(), Directory.GetFiles(temporary.Path).Select(path => Path.GetFileName(path)).ToArray());
    }

    /// <summary>It may be that of somebody who has not come to lock it.</summary>
    [TestMethod]
    public void AnEmptyFileThatIsYoungIsLeftAlone()
    {
        using var temporary = new TemporaryFolder();
        string young = temporary.File($"a.{Hex}.tmp"), old = temporary.File($"a.{Hex.Replace('0', '1')}.tmp");
        File.WriteAllText(young, "");
        File.WriteAllText(old, "");
        File.SetLastWriteTimeUtc(old, DateTime.UtcNow.AddMinutes(-1));

        Write("file", temporary.File("a"));

        Assert.IsTrue(File.Exists(young));
        Assert.IsFalse(File.Exists(old));
    }

    [TestMethod]
    public void TheNamesOfAFolderReachTheDisk()
    {
        using var temporary = new TemporaryFolder();

        Assert.AreEqual(!OperatingSystem.IsWindows(), DirectorySync.Flush(temporary.Path));
        Assert.IsFalse(DirectorySync.Flush(temporary.File("none")));
    }

    private static string Prepare(TemporaryFolder temporary, string kind)
    {
        string target = temporary.File("target");
        if (kind == "folder that is there")
        {
            Directory.CreateDirectory(target);
        }

        return target;
    }

    private static string[] Leftovers(TemporaryFolder temporary) =>
        [.. Directory.GetFileSystemEntries(temporary.Path, "*.tmp", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];

    private static void Write(string kind, string target)
    {
        if (kind == "file")
        {
            NewFile.Write(target, stream => stream.Write("x"u8));
            return;
        }

        using var folder = new NewFolder(target, "folder");
        folder.WriteFile("x", stream => stream.Write("x"u8));
        folder.Commit();
    }
}
