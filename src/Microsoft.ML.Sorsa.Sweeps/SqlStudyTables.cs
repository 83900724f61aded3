using System.Data;
using System.Data.Common;
using System.Globalization;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// A study in the tables of an SQL database, of SQLite or PostgreSQL; one statement or transaction per call. Numbers are stored as the
/// doubles that they are, and what does not change any more has its hash beside it: what comes back otherwise than it was written is an
/// error. Calls may come from several threads; they take turns on the one connection.
/// </summary>
/// <param name="connection">The connection, which stays the caller's; open before the first call.</param>
/// <param name="study">The study's own name in the database.</param>
/// <param name="name">The study as messages name it: with the file or the server that it is in.</param>
/// <param name="explain">From an error of the database to one that says what to do.</param>
/// <remarks>Every method throws an <see cref="InvalidDataException"/> where the study is damaged, and says where.</remarks>
public sealed class SqlStudyTables(DbConnection connection, string study, string name, Func<DbException, Exception> explain)
{
    /// <summary>
    /// To be raised with any change that this version's readers would misread. Version 0.1 of the library wrote no format.
    /// </summary>
    private const int Format = 2;

    /// <summary>Both SQLite and PostgreSQL read it.</summary>
    private const string Schema = """
        CREATE TABLE IF NOT EXISTS sorsa_study (study TEXT PRIMARY KEY, definition TEXT NOT NULL, version TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS sorsa_format (study TEXT PRIMARY KEY, format INTEGER NOT NULL, begun TEXT, hash TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS sorsa_trial (study TEXT NOT NULL, trial INTEGER NOT NULL, state TEXT NOT NULL, metric DOUBLE PRECISION,
            orthonormality DOUBLE PRECISION, error TEXT, milliseconds DOUBLE PRECISION NOT NULL, version TEXT NOT NULL,
            PRIMARY KEY (study, trial));
        CREATE TABLE IF NOT EXISTS sorsa_parameter (study TEXT NOT NULL, trial INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL,
            text TEXT NOT NULL, number DOUBLE PRECISION, PRIMARY KEY (study, trial, name));
        CREATE TABLE IF NOT EXISTS sorsa_limit (study TEXT NOT NULL, trial INTEGER NOT NULL, look INTEGER NOT NULL, loss DOUBLE PRECISION,
            PRIMARY KEY (study, trial, look));
        CREATE TABLE IF NOT EXISTS sorsa_curve (study TEXT NOT NULL, trial INTEGER NOT NULL, look INTEGER NOT NULL, step INTEGER NOT NULL,
            loss DOUBLE PRECISION NOT NULL, orthonormality DOUBLE PRECISION, PRIMARY KEY (study, trial, look));
        CREATE TABLE IF NOT EXISTS sorsa_hash (study TEXT NOT NULL, trial INTEGER NOT NULL, part TEXT NOT NULL, hash TEXT NOT NULL,
            PRIMARY KEY (study, trial, part));
        """;

    private static readonly string s_version = TrialRunner.LibraryVersion;

    private readonly SqlStatements _sql = new(connection, study, name, explain);

    /// <summary>Makes the tables and the study where they are not there. A study of version 0.1 gets its hashes.</summary>
    /// <param name="definition">The experiment's.</param>
    /// <exception cref="InvalidOperationException">
    /// The study was begun with another definition, or a newer version of the library wrote it.
    /// </exception>
    public void Open(StudyDefinition definition)
    {
        ArgumentNullException.ThrowIfNull(definition);
        _sql.InTransaction(transaction =>
        {
            _sql.Execute(transaction, Schema);
            bool isNew = _sql.Execute(transaction, "INSERT INTO sorsa_study VALUES (@study, @definition, @version) ON CONFLICT DO NOTHING",
                ("definition", definition.ToJson()), ("version", s_version)) == 1;
            int? format = _sql.Query(transaction, "format", "sorsa_format WHERE study = @study", row => row.Whole("format", 2))
                .Cast<int?>().FirstOrDefault();
            if (format > Format)
            {
                throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture,
                    $"{name} was written by a newer version of the library, in format {format}; this one, {s_version}, knows formats up to "
                    + $"{Format}. Update Microsoft.ML.Sorsa.Sweeps, or name another study."));
            }

            if (format is null)
            {
                BeginHashes(transaction, isNew);
            }

            definition.RequireSame(ReadDefinition(transaction)!, name);
            return true;
        });
    }

    /// <summary>What the study was begun with; null where there is none.</summary>
    public StudyDefinition? ReadDefinition() => _sql.InTransaction(ReadDefinition);

    /// <inheritdoc cref="IStudyStore.Begun"/>
    public DateTimeOffset? ReadBegun() => _sql.InTransaction(transaction => _sql.Query(
        transaction, "begun", "sorsa_format WHERE study = @study AND begun IS NOT NULL", row => row.Parsed("begun", text =>
            DateTimeOffset.TryParseExact(text, "O", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateTimeOffset begun)
                ? begun
                : throw new InvalidDataException($"'{text}' is no date."))).Cast<DateTimeOffset?>().FirstOrDefault());

    /// <inheritdoc cref="IStudyStore.Read"/>
    public IReadOnlyDictionary<int, TrialResult> Read(SorsaSearchSpace space)
    {
        ArgumentNullException.ThrowIfNull(space);
        return _sql.InTransaction(
            transaction =>
            {
                var trials = new StudyTrials(_sql, transaction, name).Read(int.MinValue, int.MaxValue);
                VerifyAll(transaction, trials);
                return trials.ToDictionary(trial => trial.Key, trial => trial.Value with { TrialSettings = Typed(trial.Value, space) });
            },
            IsolationLevel.RepeatableRead);
    }

    /// <summary>How far a trial has come that has started.</summary>
    /// <param name="settings">The trial.</param>
    public TrialResult Read(TrialSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        return _sql.InTransaction(
            transaction => new StudyTrials(_sql, transaction, name).Read(settings.TrialId, settings.TrialId)
                .GetValueOrDefault(settings.TrialId) is { } trial
                ? trial with { TrialSettings = settings }
                : throw StudyRow.Damaged(name, settings.TrialId, "the trial was started, and is gone."),
            IsolationLevel.RepeatableRead);
    }

    /// <summary>
    /// What was planned for a trial that has started; the parameters as texts, which a <see cref="TrialRunner"/> takes as well.
    /// </summary>
    /// <param name="trialId">The trial.</param>
    public TrialPlan ReadPlan(int trialId) => _sql.InTransaction(transaction =>
    {
        var trials = new StudyTrials(_sql, transaction, name);
        var settings = new TrialSettings(trialId, trials.Parameters(trialId, trialId).GetValueOrDefault(trialId)
            ?? throw StudyRow.Damaged(name, trialId, "it has no parameters."));
        var plan = new TrialPlan(settings, trials.Limits(trialId));
        new StudyHashes(_sql, transaction, name, trialId, trialId).Verify(plan);
        return plan;
    });

    /// <summary>Whether a trial that has started has no end yet.</summary>
    /// <param name="trialId">The trial.</param>
    public bool IsRunning(int trialId) => _sql.InTransaction(transaction => _sql.Query(
        transaction, "trial, state", "sorsa_trial WHERE study = @study AND trial = @trial", row => row.State("state"), ("trial", trialId)))
        is [var state] ? state == TrialState.Running : throw StudyRow.Damaged(name, trialId, "no such trial was started.");

    /// <inheritdoc cref="IStudyStore.Start"/>
    public void Start(TrialPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        int id = plan.Settings.TrialId;
        (string, object?) trial = ("trial", id);
        _sql.InTransaction(transaction =>
        {
            _sql.Execute(transaction, """
                INSERT INTO sorsa_trial (study, trial, state, milliseconds, version) VALUES (@study, @trial, 'Running', 0, @version)
                ON CONFLICT DO NOTHING
                """, trial, ("version", s_version));
            _sql.Execute(transaction, """
                DELETE FROM sorsa_curve WHERE study = @study AND trial = @trial
                AND EXISTS (SELECT 1 FROM sorsa_trial AS t WHERE t.study = @study AND t.trial = @trial AND t.state = 'Running')
                """, trial);
            foreach ((int place, (string name, object? value)) in plan.Settings.Parameters.Index())
            {
                _sql.Execute(transaction,
                    "INSERT INTO sorsa_parameter VALUES (@study, @trial, @place, @name, @text, @number) ON CONFLICT DO NOTHING",
                    trial, ("place", place), ("name", name), ("text", ParameterText.Of(value)),
                    ("number", value is double or int ? Convert.ToDouble(value, CultureInfo.InvariantCulture) : null));
            }

            for (int i = 0; i < plan.Limits.Count; i++)
            {
                _sql.Execute(transaction, "INSERT INTO sorsa_limit VALUES (@study, @trial, @look, @loss) ON CONFLICT DO NOTHING",
                    trial, ("look", i + 1), ("loss", double.IsInfinity(plan.Limits[i]) ? null : plan.Limits[i]));
            }

            StudyHashes.Write(_sql, transaction, plan);
            return true;
        });
    }

    /// <inheritdoc cref="IStudyStore.AddCurvePoint"/>
    public void AddCurvePoint(int trialId, int evaluation, CurvePoint point)
    {
        ArgumentNullException.ThrowIfNull(point);
        _sql.InTransaction(transaction => AddPoint(transaction, trialId, evaluation, point));
    }

    /// <inheritdoc cref="IStudyStore.Finish"/>
    public bool Finish(TrialResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        int trial = result.TrialSettings.TrialId;
        TrialResult written = result with { Error = result.Error is { } error ? TrialError.Storable(error) : null };
        return _sql.InTransaction(transaction =>
        {
            bool first = _sql.Execute(transaction, """
                UPDATE sorsa_trial SET state = @state, metric = @metric, orthonormality = @orthonormality, error = @error,
                milliseconds = @milliseconds, version = @version WHERE study = @study AND trial = @trial AND state = 'Running'
                """, ("trial", trial), ("state", written.State.ToString()), ("metric", written.Metric),
                ("orthonormality", written.Orthonormality), ("error", written.Error), ("milliseconds", written.DurationInMilliseconds),
                ("version", s_version)) == 1;
            if (first)
            {
                _sql.Execute(transaction, "DELETE FROM sorsa_curve WHERE study = @study AND trial = @trial", ("trial", trial));
                foreach ((int i, CurvePoint point) in written.Curve.Index())
                {
                    AddPoint(transaction, trial, i + 1, point);
                }

                StudyHashes.Write(_sql, transaction, written);
            }

            return first;
        });
    }

    private StudyDefinition? ReadDefinition(DbTransaction transaction)
    {
        string? hash = _sql.Query(transaction, "hash", "sorsa_format WHERE study = @study", row => row.Text("hash")).FirstOrDefault();
        return _sql.Query(transaction, "definition", "sorsa_study WHERE study = @study", row => row.Parsed("definition", text =>
        {
            StudyDefinition definition = StudyDefinition.Parse(text);
            return hash is null || hash == StudyHash.Of(text)
                ? definition
                : throw new InvalidDataException("It is not as it was written: its hash is another one.");
        })).FirstOrDefault();
    }

    /// <summary>Writes the hashes of what is there: of a new study, or of one that a version wrote which had none.</summary>
    private void BeginHashes(DbTransaction transaction, bool isNew)
    {
        string definition = _sql.Query(
            transaction, "definition", "sorsa_study WHERE study = @study", row => row.Text("definition")).Single();
        _sql.Execute(transaction, "INSERT INTO sorsa_format VALUES (@study, @format, @begun, @hash)", ("format", Format),
            ("begun", isNew ? DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture) : null),
            ("hash", StudyHash.Of(definition)));
        if (isNew)
        {
            return;
        }

        var trials = new StudyTrials(_sql, transaction, name);
        foreach (TrialResult trial in trials.Read(int.MinValue, int.MaxValue).Values)
        {
            StudyHashes.Write(_sql, transaction, new TrialPlan(trial.TrialSettings, trials.Limits(trial.TrialSettings.TrialId)));
            if (trial.State != TrialState.Running)
            {
                StudyHashes.Write(_sql, transaction, trial);
            }
        }
    }

    private void VerifyAll(DbTransaction transaction, Dictionary<int, TrialResult> trials)
    {
        new StudyHashes(_sql, transaction, name, int.MinValue, int.MaxValue).Verify(trials);
        bool isLoss = ReadDefinition(transaction)?.Values.Any(
            value => value is (StudyDefinition.MetricKey, var metric) && metric == SweepMetric.ValidationLoss.Name) ?? false;

        // Of a study without hashes, too, since those were made from what was found.
        foreach (TrialResult trial in trials.Values.Where(trial => isLoss && trial.State == TrialState.Completed))
        {
            if (trial.Metric != trial.LowestLoss)
            {
                throw StudyRow.Damaged(
                    name, trial.TrialSettings.TrialId, "its validation loss is not the lowest one of its curve.");
            }
        }
    }

    private int AddPoint(DbTransaction transaction, int trial, int evaluation, CurvePoint point) => _sql.Execute(transaction,
        "INSERT INTO sorsa_curve VALUES (@study, @trial, @look, @step, @loss, @orthonormality) ON CONFLICT DO NOTHING",
        ("trial", trial), ("look", evaluation), ("step", point.Step), ("loss", point.Loss), ("orthonormality", point.Orthonormality));

    private TrialSettings Typed(TrialResult trial, SorsaSearchSpace space)
    {
        int id = trial.TrialSettings.TrialId;
        var typed = new OrderedDictionary<string, object?>(StringComparer.Ordinal);
        foreach ((string option, object? text) in trial.TrialSettings.Parameters)
        {
            if (space.All(known => known.Key != option))
            {
                throw StudyRow.Damaged(name, id, $"the search space has no option '{option}'.");
            }

            try
            {
                typed.Add(option, space[option].Parse((string)text!));
            }
            catch (InvalidDataException e)
            {
                throw StudyRow.Damaged(name, id, $"column 'text' of table sorsa_parameter, of {option}: {e.Message}");
            }
        }

        return new TrialSettings(id, typed);
    }
}
