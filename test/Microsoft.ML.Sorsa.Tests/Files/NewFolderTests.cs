using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tests.Files;

[TestClass]
[TestCategory("Files")]
public sealed class NewFolderTests
{
    [TestMethod]
    [DataRow("out", false)]
    [DataRow("out", true)]
    [DataRow("out/", false)]
    [DataRow("out/", true)]
    [DataRow("deep/er/out", false)]
    public void CommitMakesItAppearWhole(string name, bool exists)
    {
        using var temporary = new TemporaryFolder();
        string target = temporary.File(name);
        if (exists)
        {
            Directory.CreateDirectory(target);
        }

        using (var folder = new NewFolder(target, "folder"))
        {
            folder.WriteFile("a", stream => stream.Write("b"u8));
            Assert.AreEqual(exists, Directory.Exists(target));
            folder.Commit();
        }

        Assert.AreEqual("b", File.ReadAllText(Path.Combine(target, "a")));
        Assert.HasCount(1, Directory.GetFileSystemEntries(target));
        Assert.HasCount(1, Directory.GetFileSystemEntries(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(target))!));
    }

    [TestMethod]
    [DataRow("file/out", "file")]
    [DataRow("file/deep/er/out", "file")]
    public void NothingIsMadeBelowAFile(string name, string file)
    {
        using var temporary = new TemporaryFolder();
        File.WriteAllText(temporary.File(file), "x");

        string message = Assert.ThrowsExactly<IOException>(() => new NewFolder(temporary.File(name), "folder")).Message;

        Assert.Contains($"'{temporary.File(name)}' cannot be written: '{temporary.File(file)}' is a file and no folder", message);
        Assert.AreEqual("x", File.ReadAllText(temporary.File(file)));
    }

    [TestMethod]
    [DataRow("out")]
    [DataRow("out/")]
    public void WithoutCommitNothingIsLeft(string name)
    {
        using var temporary = new TemporaryFolder();

        using (var folder = new NewFolder(temporary.File(name), "folder"))
        {
            folder.WriteFile("a", stream => stream.Write("b"u8));
        }

        Assert.IsEmpty(Directory.GetFileSystemEntries(temporary.Path));
    }

    [TestMethod]
    public void AFileIsWrittenOnce()
    {
        using var temporary = new TemporaryFolder();
        string target = temporary.File("out");
        using (var folder = new NewFolder(target, "folder"))
        {
            folder.WriteFile("a", stream => stream.Write("b"u8));

            Assert.ThrowsExactly<IOException>(() => folder.WriteFile("a", stream => stream.Write("c"u8)));
            folder.Commit();
        }

        Assert.AreEqual("b", File.ReadAllText(Path.Combine(target, "a")));
    }

    [TestMethod]
    public void ATargetThatHoldsSomethingIsRefusedAndLeftAlone()
    {
        using var temporary = new TemporaryFolder();
        string taken = temporary.File("taken"), file = temporary.File("file");
        Directory.CreateDirectory(taken);
        File.WriteAllText(Path.Combine(taken, "a"), "b");
        File.WriteAllText(file, "c");

        foreach (string target in new[] { taken, taken + "/", file })
        {
            var error = Assert.ThrowsExactly<ArgumentException>(() => new NewFolder(target, "folder"));
            Assert.AreEqual("folder", error.ParamName);
            Assert.Contains(target, error.Message);
        }

        Assert.HasCount(2, Directory.GetFileSystemEntries(temporary.Path));
        Assert.AreEqual("b", File.ReadAllText(Path.Combine(taken, "a")));
    }

    [TestMethod]
    public void WhatCameInTheMeantimeIsNotOverwritten()
    {
        using var temporary = new TemporaryFolder();
        string target = temporary.File("out");
        using (var folder = new NewFolder(target, "folder"))
        {
            Directory.CreateDirectory(target);
            File.WriteAllText(Path.Combine(target, "theirs"), "b");

            Assert.Contains("came there while it was being written", Assert.ThrowsExactly<IOException>(folder.Commit).Message);
        }

        CollectionAssert.AreEqual(new[] { Path.Combine(target, "theirs") }, Directory.GetFileSystemEntries(target));
        Assert.HasCount(1, Directory.GetFileSystemEntries(temporary.Path));
    }

    /// <summary>The file that makes a model of the folder is written last: where it is, all others are.</summary>
    [TestMethod]
    public void InAFolderThatIsThereFilesAreRenamedInTheirOrder()
    {
        using var temporary = new TemporaryFolder();
        string target = Directory.CreateDirectory(temporary.File("out")).FullName;
        using var folder = new NewFolder(target, "folder");
        foreach (string name in new[] { "a", "b", "c" })
        {
            folder.WriteFile(name, stream => stream.Write("x"u8));
        }

        Assert.IsTrue(Directory.GetFiles(target).All(path => path.EndsWith(".tmp", StringComparison.Ordinal)));
        File.WriteAllText(Path.Combine(target, "b"), "theirs");
        Assert.Contains(
            $"'{Path.Combine(target, "b")}' came there while it was being written, and stays",
            Assert.ThrowsExactly<IOException>(folder.Commit).Message);

        Assert.AreEqual("theirs", File.ReadAllText(Path.Combine(target, "b")));
        Assert.IsFalse(File.Exists(Path.Combine(target, "a")), "What was renamed before the failure is not taken back.");
        folder.Dispose();
        CollectionAssert.AreEqual(new[] { Path.Combine(target, "b") }, Directory.GetFileSystemEntries(target));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void ALinkIsFollowedWhetherItsTargetIsThereOrNot(bool exists)
    {
        using var temporary = new TemporaryFolder();
        string link = temporary.File("link"), real = temporary.File("deep", "real");
        if (exists)
        {
            Directory.CreateDirectory(real);
        }

        Directory.CreateSymbolicLink(link, Path.Combine("deep", "real"));
        using (var folder = new NewFolder(link, "folder"))
        {
            folder.WriteFile("a", stream => stream.Write("b"u8));
            folder.Commit();
        }

        Assert.AreEqual(Path.Combine("deep", "real"), new DirectoryInfo(link).LinkTarget);
        Assert.AreEqual("b", File.ReadAllText(Path.Combine(real, "a")));
        Assert.HasCount(2, Directory.GetFileSystemEntries(temporary.Path));
        Assert.HasCount(1, Directory.GetFileSystemEntries(real));
    }

    /// <summary>The root of an ext4 volume.</summary>
    [TestMethod]
    public void AFolderWithNothingButLostAndFoundIsEmpty()
    {
        using var temporary = new TemporaryFolder();
        Directory.CreateDirectory(temporary.File("lost+found"));

        using (var folder = new NewFolder(temporary.Path, "folder"))
        {
            folder.WriteFile("a", stream => stream.Write("b"u8));
            folder.Commit();
        }

        Assert.IsTrue(File.Exists(temporary.File("a")) && Directory.Exists(temporary.File("lost+found")));
    }

    [TestMethod]
    public void FoldersThatWereMadeAboveItGoWithIt()
    {
        using var temporary = new TemporaryFolder();

        using (var folder = new NewFolder(temporary.File("deep", "er", "out"), "folder"))
        {
            Assert.IsTrue(Directory.Exists(temporary.File("deep", "er")));
        }

        Assert.IsEmpty(Directory.GetFileSystemEntries(temporary.Path));
    }

    [TestMethod]
    public void WhatThereIsNoRoomForIsRefusedBeforeItIsWritten()
    {
        using var temporary = new TemporaryFolder();
        using var folder = new NewFolder(temporary.File("out"), "folder");

        string message = Assert.ThrowsExactly<IOException>(() => folder.VerifyRoom(long.MaxValue)).Message;

        Assert.Contains($"'{temporary.File("out")}' cannot be written: it takes 9,223,372,036,854.8 MB", message);
    }
}
