using System.Data.Common;
using Microsoft.ML.Sorsa.Sweeps;
using Npgsql;

namespace Microsoft.ML.Sorsa;

/// <summary>A study in a PostgreSQL database, for the process that runs the experiment and for its workers.</summary>
internal sealed class PostgresStudyStore : IStudyStore
{
    /// <summary>The server needs a moment to notice that a process was killed.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(3);

    private readonly PostgresSession _session;
    private readonly SqlStudyTables _tables;
    private readonly string _study;
    private readonly StudyInputs? _inputs;

    /// <param name="connectionString">Npgsql's.</param>
    /// <param name="study">The study's name in the database.</param>
    /// <param name="inputs">What <see cref="Open"/> keeps for workers; null where the study is only joined.</param>
    /// <exception cref="ArgumentException">It is no connection string.</exception>
    public PostgresStudyStore(string connectionString, string study, StudyInputs? inputs = null)
    {
        _study = study;
        _inputs = inputs;
        _session = new PostgresSession(connectionString, $"The study '{study}'");
        _tables = new SqlStudyTables(_session.Connection, study, Name, _session.Explain);
    }

    public string Name => _session.Name;

    public DateTimeOffset? Begun => _tables.ReadBegun();

    /// <summary>Opens the study for the experiment.</summary>
    public void Open(StudyDefinition definition)
    {
        _session.Open();
        if (!_session.TryLock($"sorsa study {_study}", s_patience))
        {
            throw new InvalidOperationException(
                $"{Name} is in use by another experiment. Wait for that one, or give the study another name.");
        }

        _session.InTurn(() =>
        {
            _tables.Open(definition);
            WriteInputs();
        });
    }

    /// <summary>Opens a study for a worker, beside the experiment and other workers.</summary>
    public void Join() => _session.Open();

    /// <summary>
    /// Claims a trial until the store is disposed, so that no other worker runs it. Hangfire may give the same job to two workers; the
    /// second one waits here. If the first one dies, the second takes the trial over. If it did not wait, its job would end as done, and
    /// nobody would run the trial.
    /// </summary>
    /// <returns>False where the trial has come to its end.</returns>
    public bool Claim(int trialId, CancellationToken cancellationToken)
    {
        // Read before the lock, too: there is no need to wait for a trial that has ended.
        return _tables.IsRunning(trialId)
            && _session.TryLock(FormattableString.Invariant($"sorsa trial {trialId} of {_study}"), TimeSpan.MaxValue, cancellationToken)
            && _tables.IsRunning(trialId);
    }

    /// <summary>What the study was begun with, of a study that is there.</summary>
    public StudyDefinition ReadDefinition() => _tables.ReadDefinition() ?? throw NotThere();

    /// <summary>What workers need beside the definition.</summary>
    public StudyInputs ReadInputs()
    {
        using var command = new NpgsqlCommand("SELECT work FROM sorsa_work WHERE study = @study", _session.Connection);
        command.Parameters.AddWithValue("study", _study);
        string inputs = Explained(command.ExecuteScalar) as string ?? throw NotThere();
        try
        {
            return StudyInputs.Parse(inputs);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException(
                $"{Name} is damaged: column 'work' of table sorsa_work cannot be read. {e.Message} Begin another study.", e);
        }
    }

    public TrialPlan ReadPlan(int trialId) => _tables.ReadPlan(trialId);

    public IReadOnlyDictionary<int, TrialResult> Read(SorsaSearchSpace space) => _tables.Read(space);

    public TrialResult Read(TrialSettings settings) => _tables.Read(settings);

    public void Start(TrialPlan plan) => _tables.Start(plan);

    public void AddCurvePoint(int trialId, int evaluation, CurvePoint point) => _tables.AddCurvePoint(trialId, evaluation, point);

    public bool Finish(TrialResult result) => _tables.Finish(result);

    /// <summary>An error that Hangfire met in the same database.</summary>
    public IOException Unreachable(Exception error) => _session.Explain(error);

    public void Dispose() => _session.Dispose();

    private void WriteInputs()
    {
        using NpgsqlCommand command = _session.Connection.CreateCommand();
        command.CommandText = "CREATE TABLE IF NOT EXISTS sorsa_work (study TEXT PRIMARY KEY, work TEXT NOT NULL)";
        Explained(command.ExecuteNonQuery);
        if (_inputs is not null)
        {
            command.CommandText = "INSERT INTO sorsa_work VALUES (@study, @work) ON CONFLICT DO NOTHING";
            command.Parameters.AddWithValue("study", _study);
            command.Parameters.AddWithValue("work", _inputs.ToJson());
            Explained(command.ExecuteNonQuery);
        }
    }

    private InvalidDataException NotThere() =>
        new($"{Name} is not there, or was taken apart while it ran. Run the experiment again, under another name.");

    private T Explained<T>(Func<T> ask)
    {
        try
        {
            return ask();
        }
        catch (DbException e)
        {
            throw Unreachable(e);
        }
    }
}
