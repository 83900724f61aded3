extern alias core;

using System.Net.Sockets;
using NewFile = core::Microsoft.ML.Sorsa.Files.NewFile;

namespace Microsoft.ML.Sorsa.Tests.Files;

[TestClass]
[TestCategory("Files")]
public sealed class NewFileTests
{
    [TestMethod]
    public void AFileIsReplacedAndKeepsItsRights()
    {
        using var temporary = new TemporaryFolder();
        string path = temporary.File("a");
        File.WriteAllText(path, "old");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        Write(path, "new");

        Assert.AreEqual("new", File.ReadAllText(path));
        Assert.HasCount(1, Directory.GetFileSystemEntries(temporary.Path));
        if (!OperatingSystem.IsWindows())
        {
            Assert.AreEqual(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        }
    }

    [TestMethod]
    public void AFailedWriteLeavesWhatWasThere()
    {
        using var temporary = new TemporaryFolder();
        string path = temporary.File("a");
        File.WriteAllText(path, "old");

        Assert.ThrowsExactly<FormatException>(() => NewFile.Write(path, stream =>
        {
            stream.Write("half"u8);
            stream.Flush();
            throw new FormatException();
        }));

        Assert.AreEqual("old", File.ReadAllText(path));
        Assert.HasCount(1, Directory.GetFileSystemEntries(temporary.Path));
    }

    /// <summary>One link, two, one to a file that is not there yet, and one through a linked folder and out of it again.</summary>
    [TestMethod]
    public void ALinkIsFollowed()
    {
        using var temporary = new TemporaryFolder();
        string far = Directory.CreateDirectory(temporary.File("far", "away")).FullName, near = temporary.File("near");
        Directory.CreateDirectory(near);
        string file = Path.Combine(far, "file"), missing = Path.Combine(far, "missing"), above = temporary.File("far", "above");
        File.WriteAllText(file, "old");
        Directory.CreateSymbolicLink(Path.Combine(near, "folder"), far);
        foreach ((string link, string target, string written) in new[]
        {
            ("one", file, file),
            ("two", "one", file),
            ("three", missing, missing),
            ("folder/four", "../above", above),
            ("five", "folder/four", above),
        })
        {
            string path = Path.Combine(near, link);
            File.CreateSymbolicLink(path, target);

            Write(path, link);

            Assert.AreEqual(link, File.ReadAllText(written));
            Assert.AreEqual(target, new FileInfo(path).LinkTarget);
        }
    }

    [TestMethod]
    public void LinksInACircleAreAnError()
    {
        using var temporary = new TemporaryFolder();
        File.CreateSymbolicLink(temporary.File("a"), "b");
        File.CreateSymbolicLink(temporary.File("b"), "a");

        Assert.Contains("circle", Assert.ThrowsExactly<IOException>(() => Write(temporary.File("a"), "x")).Message);
    }

    [TestMethod]
    public void WhatCannotBeWrittenIsNamedBeforeAnythingIs()
    {
        using var temporary = new TemporaryFolder();
        string folder = temporary.File("folder");
        Directory.CreateDirectory(folder);

        string absent = Assert.ThrowsExactly<DirectoryNotFoundException>(() => Write(temporary.File("none", "a"), "x")).Message;
        string taken = Assert.ThrowsExactly<IOException>(() => Write(folder, "x")).Message;
        string large = Assert.ThrowsExactly<IOException>(
            () => NewFile.Write(temporary.File("a"), _ => Assert.Fail("It was begun."), size: long.MaxValue)).Message;

        Assert.Contains($"'{temporary.File("none", "a")}' cannot be written: the folder '{temporary.File("none")}' does not exist", absent);
        Assert.Contains($"'{folder}' is a folder", taken);
        string below = Path.Combine(temporary.File("file"), "a");
        File.WriteAllText(temporary.File("file"), "");
        Assert.Contains(
            $"'{below}' cannot be written: '{temporary.File("file")}' is a file and no folder",
            Assert.ThrowsExactly<DirectoryNotFoundException>(() => Write(below, "x")).Message);
        File.Delete(temporary.File("file"));
        Assert.Contains("MB are free", large);
        Assert.HasCount(1, Directory.GetFileSystemEntries(temporary.Path));
    }

    /// <summary>A pipe, a socket, a link to one; and so /dev/null, which a rename would replace for all programs.</summary>
    [TestMethod]
    [Timeout(120_000, CooperativeCancellation = true)]
    public void WhatIsNoFileIsNotReplaced()
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Inconclusive("Linux tells what is no file.");
        }

        using var temporary = new TemporaryFolder();
        string pipe = temporary.File("pipe"), socket = temporary.File("socket"), link = temporary.File("link");
        FilesOfOthersTests.Pipe(pipe);
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(socket));
        File.CreateSymbolicLink(link, pipe);
        foreach (string path in new[] { pipe, socket, link })
        {
            string message = Assert.ThrowsExactly<IOException>(() => Write(path, "x")).Message;

            Assert.Contains($"'{path}' is a device, a pipe or a socket", message);
        }

        Assert.HasCount(3, Directory.GetFileSystemEntries(temporary.Path));
        Assert.AreEqual(0, new FileInfo(pipe).Length);
    }

    [TestMethod]
    public void ANameThatEndsAsAFoldersIsNoFiles()
    {
        using var temporary = new TemporaryFolder();

        Assert.Contains("names a folder", Assert.ThrowsExactly<IOException>(() => Write(temporary.File("out") + "/", "x")).Message);
        Assert.IsEmpty(Directory.GetFileSystemEntries(temporary.Path));
    }

    [TestMethod]
    public void ManyWritersOfOneFileDoNotDisturbEachOther()
    {
        using var temporary = new TemporaryFolder();
        string path = temporary.File("a");

        Parallel.For(
            0, 200, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i => Write(path, new string((char)('a' + (i % 26)), 5000)));

        string content = File.ReadAllText(path);
        Assert.AreEqual(new string(content[0], 5000), content);
        Assert.HasCount(1, Directory.GetFileSystemEntries(temporary.Path));
    }

    private static void Write(string path, string text) => NewFile.Write(path, stream =>
    {
        using var writer = new StreamWriter(stream, leaveOpen: true);
        writer.Write(text);
    });
}
