using SweepGammaAndRank;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>A server of a test class's own, from its first test that asks for it to the last.</summary>
internal sealed class PostgresServer : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Lazy<LocalPostgres> _server;
    private bool _ended;

    public PostgresServer()
    {
        if (!OperatingSystem.IsWindows())
        {
            // The server may run as another user.
            File.SetUnixFileMode(_folder.Path, File.GetUnixFileMode(_folder.Path) | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        }

        _server = new Lazy<LocalPostgres>(() => LocalPostgres.Start(_folder.File("postgres")));
    }

    /// <summary>Skips the test, saying why, where there can be no server.</summary>
    public string ConnectionString
    {
        get
        {
            if (LocalPostgres.Missing is { } reason)
            {
                Assert.Inconclusive(reason);
            }

            return _server.Value.ConnectionString;
        }
    }

    public void Dispose()
    {
        if (_ended)
        {
            return;
        }

        _ended = true;
        if (_server.IsValueCreated)
        {
            _server.Value.Dispose();
        }

        _folder.Dispose();
    }
}
