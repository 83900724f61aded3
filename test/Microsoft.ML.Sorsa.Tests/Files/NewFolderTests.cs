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

            Assert.ThrowsExactly<IOException>(folder.Commit);
        }

        CollectionAssert.AreEqual(new[] { Path.Combine(target, "theirs") }, Directory.GetFileSystemEntries(target));
        Assert.HasCount(1, Directory.GetFileSystemEntries(temporary.Path));
    }
}
