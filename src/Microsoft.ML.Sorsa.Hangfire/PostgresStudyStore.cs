using System.Data.Common;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa;

/// <summary>A study in a PostgreSQL database, for the process that runs the experiment and for its workers.</summary>
internal sealed class PostgresStudyStore : SqlStudyStore
{
    /// <summary>The server needs a moment to notice that a process was killed.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(3);

    private readonly PostgresSession _session;

    /// <param name="connectionString">Npgsql's.</param>
    /// <param name="study">The study's name in the database.</param>
    public PostgresStudyStore(string connectionString, string study)
        : base(study) => _session = new PostgresSession(connectionString, $"The study '{study}'");

    public override string Name => _session.Name;

    protected override DbConnection Connection => _session.Connection;

    public override void Open(StudyDefinition definition)
    {
        _session.Open();
        if (!_session.TryLock($"sorsa study {Study}", s_patience))
        {
            throw new InvalidOperationException($"{Name} is in use by another experiment. Wait for that one, or give the study another name.");
        }

        _session.InTurn(() =>
        {
            base.Open(definition);
            InTransaction(transaction => Execute(transaction, "CREATE TABLE IF NOT EXISTS sorsa_work (study TEXT PRIMARY KEY, work TEXT NOT NULL)"));
        });
    }

    /// <summary>Opens a study for a worker, beside the experiment and other workers.</summary>
    public void Join() => _session.Open();

    /// <summary>
    /// Takes a trial, so that no other worker runs it, until the store is disposed. Waits while another one has it: should that one die, its own job comes back only
    /// after the invisibility time-out, and is this one if the first was lost.
    /// </summary>
    /// <returns>False where the trial has come to its end.</returns>
    public bool Take(int trialId, CancellationToken cancellationToken)
    {
        // Asked for once before, too: then most jobs that come twice do not wait.
        return IsRunning(trialId)
            && _session.TryLock(FormattableString.Invariant($"sorsa trial {trialId} of {Study}"), TimeSpan.MaxValue, cancellationToken)
            && IsRunning(trialId);
    }

    /// <summary>Keeps what workers need.</summary>
    public void Write(TrialWork work) => InTransaction(transaction =>
        Execute(transaction, "INSERT INTO sorsa_work VALUES (@study, @work) ON CONFLICT DO NOTHING", ("work", work.ToJson())));

    /// <summary>What workers need.</summary>
    public TrialWork ReadWork() => InTransaction(transaction =>
        Query(transaction, "SELECT work FROM sorsa_work WHERE study = @study", row => TrialWork.Parse(row.GetString(0))).Single());

    /// <summary>An error that Hangfire met in the same database.</summary>
    public IOException Unreachable(Exception error) => _session.Explain(error);

    protected override Exception Explain(DbException error) => Unreachable(error);

    private bool IsRunning(int trialId) => InTransaction(transaction =>
        Query(transaction, "SELECT state FROM sorsa_trial WHERE study = @study AND trial = @trial", row => row.GetString(0), ("trial", trialId)).Single()) == nameof(TrialState.Running);
}
