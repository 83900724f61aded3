using System.Data.Common;
using System.Globalization;
using Microsoft.Data.Sqlite;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>A study in an SQLite file, or in memory.</summary>
internal sealed class SqliteStudyStore : IStudyStore
{
    private const int SecondsToWait = 5;

    private readonly string? _path;
    private readonly SqliteConnection _connection;
    private readonly SqlStudyTables _tables;
    private FileStream? _lock;

    /// <param name="path">The file; null: in memory, gone with the store.</param>
    public SqliteStudyStore(string? path)
    {
        _path = path;
        var settings = new SqliteConnectionStringBuilder
        {
            DataSource = path ?? ":memory:",
            Pooling = false,
            DefaultTimeout = SecondsToWait,
        };
        _connection = new SqliteConnection(settings.ConnectionString);
        _tables = new SqlStudyTables(_connection, "study", Explain);
    }

    public string Name => _path is null ? "The study" : $"The study '{_path}'";

    public void Open(StudyDefinition definition)
    {
        if (_path is not null)
        {
            TakeLock(_path);
        }

        try
        {
            _connection.Open();
            using SqliteCommand journal = _connection.CreateCommand();

            // What is committed survives the machine's end too; readers, such as an analysis beside it, do not wait.
            journal.CommandText = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
            journal.ExecuteNonQuery();
        }
        catch (SqliteException e)
        {
            throw Explain(e);
        }

        _tables.Open(definition, Name);
    }

    public IReadOnlyDictionary<int, TrialResult> Read(SorsaSearchSpace space) => _tables.Read(space);

    public TrialPlan ReadPlan(int trialId) => _tables.ReadPlan(trialId);

    public void Start(TrialPlan plan) => _tables.Start(plan);

    public void AddCurvePoint(int trialId, int evaluation, CurvePoint point) => _tables.AddCurvePoint(trialId, evaluation, point);

    public bool Finish(TrialResult result) => _tables.Finish(result);

    public void Dispose()
    {
        _connection.Dispose();
        _lock?.Dispose();
    }

    private IOException Explain(DbException error)
    {
        const int Busy = 5, Locked = 6, NoMemory = 7, ReadOnly = 8, IoError = 10, Corrupt = 11, Full = 13, CannotOpen = 14;
        const int NotADatabase = 26;
        (string what, string remedy) = ((error as SqliteException)?.SqliteErrorCode ?? 0) switch
        {
            Busy or Locked =>
                (FormattableString.Invariant($"is locked by another program, for more than {SecondsToWait} seconds"), "Close that program"),
            ReadOnly => ("is read-only, or its folder is", "Allow writing to the file and its folder, or name another path"),
            Full => ("does not fit on the disk any more", "Make room"),
            IoError => ("cannot be read or written", "Look at the disk and whether there is room on it"),
            Corrupt or NotADatabase => ("is no SQLite database, or is broken", "Name another path, or put a copy back"),
            CannotOpen => ("cannot be opened", "Name a file in a folder that exists and can be written to"),
            NoMemory => ("found no memory left", "Run fewer trials at a time"),
            _ => ("failed", "Look at the message of SQLite"),
        };
        return new IOException(
            $"{Name} {what} ({error.Message}). {remedy}; what the study holds stays, and running "
            + "the experiment again goes on with it.", error);
    }

    /// <summary>Another process has the file: EWOULDBLOCK of Linux and of macOS, ERROR_SHARING_VIOLATION of Windows.</summary>
    private static bool IsHeld(IOException error) => (error.HResult & 0xFFFF) is 11 or 35 or 32;

    /// <summary>The operating system gives it back with the process, however that ends.</summary>
    private void TakeLock(string path)
    {
        string file = path + ".lock";
        try
        {
            _lock = new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(
                $"{Name} cannot be opened: '{file}' cannot be written. Allow writing to its folder, or name another path.", e);
        }
        catch (DirectoryNotFoundException e)
        {
            throw new IOException($"{Name} cannot be opened: its folder does not exist. Make it, or name another path.", e);
        }
        catch (IOException e) when (!IsHeld(e))
        {
            throw new IOException(
                $"{Name} cannot be opened: '{file}' cannot be written ({e.Message}). "
                + "Allow writing to its folder, or name another path.", e);
        }
        catch (IOException e)
        {
            throw new InvalidOperationException(
                $"{Name} is in use by another experiment ('{file}' is held). Wait for that one, or name another path.", e);
        }
    }
}
