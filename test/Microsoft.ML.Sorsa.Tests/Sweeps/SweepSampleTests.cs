using SweepGammaAndRank;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>The sample's passwords.</summary>
[TestClass]
[DoNotParallelize]
[TestCategory("Sweeps")]
[TestCategory("Samples")]
public sealed class SweepSampleTests
{
    [TestMethod]
    [DataRow("Host=db;Username=me;Password=secret")]
    [DataRow("Host=db;PWD=secret")]
    public void APasswordOnTheCommandLineIsRefused(string connection)
    {
        ArgumentException refused = Assert.ThrowsExactly<ArgumentException>(() => Database.Named(connection));

        Assert.Contains("SORSA_POSTGRES", refused.Message);
        Assert.DoesNotContain("secret", refused.Message);
    }

    [TestMethod]
    public void TheEnvironmentNamesADatabaseWhereTheCommandLineDoesNot()
    {
        string? before = Environment.GetEnvironmentVariable(Database.Variable);
        try
        {
            Environment.SetEnvironmentVariable(Database.Variable, "Host=db;Password=secret");
            Assert.AreEqual("Host=db;Password=secret", Database.Named(null));
            Assert.AreEqual("Host=other", Database.Named("Host=other"));
            Environment.SetEnvironmentVariable(Database.Variable, null);
            Assert.IsNull(Database.Named(null));
        }
        finally
        {
            Environment.SetEnvironmentVariable(Database.Variable, before);
        }
    }

    /// <summary>Also where the folder was there before, open to everybody.</summary>
    [TestMethod]
    public void ThePasswordOfASampleServerIsItsOwnersAlone()
    {
        if (LocalPostgres.Missing is { } reason)
        {
            Assert.Inconclusive(reason);
        }

        if (OperatingSystem.IsWindows())
        {
            Assert.Inconclusive("Windows has no modes of files.");
            return;
        }

        using var folder = new TemporaryFolder();
        const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        const UnixFileMode Enter = UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        File.SetUnixFileMode(folder.Path, Owner | Enter);
        string server = folder.File("postgres");
        Directory.CreateDirectory(server, Owner | Enter | UnixFileMode.GroupRead | UnixFileMode.OtherRead);

        LocalPostgres.Start(server).Dispose();

        Assert.AreEqual(Owner, File.GetUnixFileMode(server));
        Assert.AreEqual(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(server, "password")));
    }
}
