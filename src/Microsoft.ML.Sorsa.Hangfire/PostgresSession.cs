using System.Data.Common;
using System.Diagnostics;
using System.Net.Sockets;
using Npgsql;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// A connection to a PostgreSQL database with what is locked through it: the server unlocks when the connection ends, however that comes
/// about.
/// </summary>
internal sealed class PostgresSession : IDisposable
{
    /// <summary>Set per session, for a peer whose machine vanishes: the server looks for it after 5 seconds instead of two hours.</summary>
    private const string NoticeThePeersEnd = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;";

    private readonly string _name;

    /// <param name="connectionString">Npgsql's.</param>
    /// <param name="what">What it is used for, for messages.</param>
    /// <exception cref="ArgumentException">It is no connection string.</exception>
    public PostgresSession(string connectionString, string what)
    {
        // A pool would keep the connection, and with it what is locked through it.
        var settings = new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false, TcpKeepAlive = true };
        Connection = new NpgsqlConnection(settings.ConnectionString);
        string port = FormattableString.Invariant($"{settings.Port}");
        _name = $"{what} in PostgreSQL database '{settings.Database ?? settings.Username}' at {settings.Host}:{port}";
    }

    /// <summary>What it is used for, and where.</summary>
    public string Name => _name;

    public NpgsqlConnection Connection { get; }

    /// <exception cref="IOException">The server cannot be reached, or refuses.</exception>
    public void Open()
    {
        try
        {
            Connection.Open();
            Execute(NoticeThePeersEnd);
        }
        catch (Exception e) when (e is DbException or SocketException or TimeoutException)
        {
            throw Explain(e);
        }
    }

    /// <summary>Takes what nobody else can have at the same time, until the session ends.</summary>
    /// <param name="what">Its name, the same for everybody.</param>
    /// <param name="patience">How long others may keep it.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>Whether it was got.</returns>
    public bool TryLock(string what, TimeSpan patience, CancellationToken cancellationToken = default)
    {
        var clock = Stopwatch.StartNew();
        while (!CallLockFunction("SELECT pg_try_advisory_lock(hashtextextended(@what, 0))", what))
        {
            if (clock.Elapsed >= patience)
            {
                return false;
            }

            cancellationToken.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(100));
            cancellationToken.ThrowIfCancellationRequested();
        }

        return true;
    }

    /// <summary>Does what everybody does at the start, one after the other: tables that are made at the same time fail.</summary>
    public void InTurn(Action act)
    {
        const string Turn = "sorsa tables";
        TryLock(Turn, TimeSpan.MaxValue);
        try
        {
            act();
        }
        finally
        {
            CallLockFunction("SELECT pg_advisory_unlock(hashtextextended(@what, 0))", Turn);
        }
    }

    /// <summary>An error of Npgsql as one that says what to do.</summary>
    public IOException Explain(Exception error)
    {
        (string what, string remedy) = (error as PostgresException)?.SqlState switch
        {
            PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification =>
                ("refuses the user", "Correct Username and Password of the connection string"),
            PostgresErrorCodes.InvalidCatalogName => ("does not exist", "Create it, or name another Database in the connection string"),
            PostgresErrorCodes.InsufficientPrivilege => ("does not let this user in", "Allow the user to create tables and to write"),
            PostgresErrorCodes.ReadOnlySqlTransaction => ("is read-only", "Name the server that takes writes"),
            PostgresErrorCodes.DiskFull => ("does not fit on the server's disk any more", "Make room"),
            PostgresErrorCodes.TooManyConnections =>
                ("has no connection left", "Raise max_connections of the server, or run fewer workers"),
            PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or PostgresErrorCodes.CannotConnectNow =>
                ("is shutting down or starting", "Wait for the server"),
            null => ("cannot be reached, or broke off", "Look whether the server runs and at Host and Port of the connection string"),
            var code => ($"failed with {code}", "Look at the message of PostgreSQL"),
        };
        return new IOException(
            $"{Name} {what} ({error.Message}). {remedy}; what the study holds stays, and running the experiment again "
            + "goes on with it.", error);
    }

    public void Dispose() => Connection.Dispose();

    private void Execute(string sql)
    {
        using NpgsqlCommand command = Connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    /// <summary>Calls one of PostgreSQL's advisory lock functions, which say whether they did it.</summary>
    private bool CallLockFunction(string sql, string what)
    {
        try
        {
            using var command = new NpgsqlCommand(sql, Connection);
            command.Parameters.AddWithValue("what", what);
            return (bool)command.ExecuteScalar()!;
        }
        catch (DbException e)
        {
            throw Explain(e);
        }
    }
}
