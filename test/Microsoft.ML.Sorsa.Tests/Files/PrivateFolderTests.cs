using System.Diagnostics;
using System.Runtime.Versioning;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tests.Files;

/// <summary>Folders that nobody else writes into.</summary>
[TestClass]
[TestCategory("Files")]
[OSCondition(OperatingSystems.Linux)]
[SupportedOSPlatform("linux")]
public sealed class PrivateFolderTests
{
    private const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    [TestMethod]
    public void ANewFolderIsItsOwnersAlone()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("inner");

        PrivateFolder.Create(path, "Do something");

        Assert.AreEqual(Owner, File.GetUnixFileMode(path));
    }

    /// <summary>A folder that the user has may be read by others as the user wishes.</summary>
    [TestMethod]
    public void AFolderThatIsThereKeepsItsRights()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("inner");
        Directory.CreateDirectory(path, Owner | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        UnixFileMode before = File.GetUnixFileMode(path);

        PrivateFolder.Create(path, "Do something");

        Assert.AreEqual(before, File.GetUnixFileMode(path));
    }

    /// <summary>"/" is root's; where the tests run as root, a folder that was given away is another user's.</summary>
    [TestMethod]
    public void AnotherUsersFolderIsRefused()
    {
        using var folder = new TemporaryFolder();
        string path = Environment.UserName == "root" ? GiveAway(folder.Path) : "/";

        var refused = Assert.ThrowsExactly<UnauthorizedAccessException>(() => PrivateFolder.Create(path, "Do something"));
        Assert.ThrowsExactly<UnauthorizedAccessException>(() => PrivateFolder.Verify(path, "Do something"));

        Assert.Contains($"'{path}' belongs to the user with the id", refused.Message);
        Assert.Contains("Do something.", refused.Message);
        Assert.IsFalse(PrivateFolder.IsOwn(path));
        Assert.IsTrue(PrivateFolder.IsOwn(typeof(PrivateFolderTests).Assembly.Location));
    }

    /// <summary>Somebody else's from now on.</summary>
    internal static string GiveAway(string path)
    {
        using var process = Process.Start("chown", ["12345", path]);
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode);
        return path;
    }
}
