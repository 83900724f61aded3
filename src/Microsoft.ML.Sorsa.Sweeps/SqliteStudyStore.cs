using System.Data.Common;
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
        _tables = new SqlStudyTables(_connection, "study", Name, Explain);
    }

    public string Name => _path is null ? "The study" : $"The study '{_path}'";

    public DateTimeOffset? Begun => _tables.ReadBegun();

    public void Open(StudyDefinition definition)
    {
        if (_path is not null)
        {
            TakeLock(_path);
        }

        try
        {
            _connection.Open();
            VerifyFile();

            // What is committed survives the machine's end too; readers, such as an analysis beside it, do not wait.
            Ask("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
        }
        catch (SqliteException e)
        {
            throw Explain(e);
        }

        _tables.Open(definition);
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
        const int Statement = 1, NotADatabase = 26;
        const string Stays = "; what the study holds stays, and running the experiment again goes on with it";
        (string what, string remedy) = ((error as SqliteException)?.SqliteErrorCode ?? 0) switch
        {
            Busy or Locked => (
                FormattableString.Invariant($"is locked by another program, for more than {SecondsToWait} seconds"),
                "Close that program" + Stays),
            ReadOnly =>
                ("is read-only, or its folder is", "Allow writing to the file and its folder, or name another path" + Stays),
            Full => ("does not fit on the disk any more", "Make room" + Stays),
            IoError => ("cannot be read or written", "Look at the disk and whether there is room on it" + Stays),
            Corrupt or NotADatabase => ("is no SQLite database, or is broken", "Name another path, or put a copy back"),
            CannotOpen => ("cannot be opened", "Name a file in a folder that exists and can be written to" + Stays),
            NoMemory => ("found no memory left", "Run fewer trials at a time" + Stays),
            Statement => ("has not the tables of a study", "Name another path, or put a copy back"),
            _ => ("failed", "Look at the message of SQLite" + Stays),
        };
        return new IOException($"{Name} {what} ({error.Message}). {remedy}.", error);
    }

    /// <summary>Before anything is written: whether the file is a study's, and whole.</summary>
    /// <exception cref="InvalidDataException">It is not.</exception>
    private void VerifyFile()
    {
        string[] tables = Ask("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name");
        if (tables.Length > 0 && !tables.Contains("sorsa_study", StringComparer.Ordinal))
        {
            throw new InvalidDataException(
                $"{Name} is the database of something else: its tables are {string.Join(", ", tables.Take(10))}. Name another path.");
        }

        string[] findings = Ask("PRAGMA integrity_check(10)");
        if (findings is not ["ok"])
        {
            throw StudyRow.Damaged(Name, trial: null, $"SQLite finds {string.Join("; ", findings).ReplaceLineEndings(" ")}.");
        }
    }

    /// <summary>The first column of what a statement gives.</summary>
    private string[] Ask(string sql)
    {
        using SqliteCommand command = _connection.CreateCommand();
        command.CommandText = sql;
        using SqliteDataReader rows = command.ExecuteReader();
        var found = new List<string>();
        while (rows.Read())
        {
            found.Add(rows.GetString(0));
        }

        return [.. found];
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
