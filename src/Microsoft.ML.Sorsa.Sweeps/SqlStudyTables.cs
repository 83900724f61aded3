using System.Data;
using System.Data.Common;
using System.Globalization;
using System.Reflection;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// A study in five tables of an SQL database, of SQLite or PostgreSQL; one statement or transaction per call. Numbers are stored as the
/// doubles that they are. Calls may come from several threads; they take turns on the one connection.
/// </summary>
/// <param name="connection">The connection, which stays the caller's; open before the first call.</param>
/// <param name="study">The study's own name in the database.</param>
/// <param name="explain">From an error of the database to one that says what to do.</param>
public sealed class SqlStudyTables(DbConnection connection, string study, Func<DbException, Exception> explain)
{
    /// <summary>Both SQLite and PostgreSQL read it.</summary>
    private const string Schema = """
        CREATE TABLE IF NOT EXISTS sorsa_study (study TEXT PRIMARY KEY, definition TEXT NOT NULL, version TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS sorsa_trial (study TEXT NOT NULL, trial INTEGER NOT NULL, state TEXT NOT NULL, metric DOUBLE PRECISION,
            orthonormality DOUBLE PRECISION, error TEXT, milliseconds DOUBLE PRECISION NOT NULL, version TEXT NOT NULL,
            PRIMARY KEY (study, trial));
        CREATE TABLE IF NOT EXISTS sorsa_parameter (study TEXT NOT NULL, trial INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL,
            text TEXT NOT NULL, number DOUBLE PRECISION, PRIMARY KEY (study, trial, name));
        CREATE TABLE IF NOT EXISTS sorsa_limit (study TEXT NOT NULL, trial INTEGER NOT NULL, look INTEGER NOT NULL, loss DOUBLE PRECISION,
            PRIMARY KEY (study, trial, look));
        CREATE TABLE IF NOT EXISTS sorsa_curve (study TEXT NOT NULL, trial INTEGER NOT NULL, look INTEGER NOT NULL, step INTEGER NOT NULL,
            loss DOUBLE PRECISION NOT NULL, orthonormality DOUBLE PRECISION, PRIMARY KEY (study, trial, look));
        """;

    /// <summary>Of the library: every trial names the one that ran it.</summary>
    private static readonly string s_version =
        typeof(SorsaTransformer).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    private readonly Lock _turn = new();

    /// <summary>Makes the tables and the study where they are not there.</summary>
    /// <param name="definition">The experiment's.</param>
    /// <param name="name">The study as messages name it.</param>
    /// <exception cref="InvalidOperationException">The study was begun with another definition.</exception>
    public void Open(StudyDefinition definition, string name)
    {
        ArgumentNullException.ThrowIfNull(definition);
        InTransaction(transaction =>
        {
            Execute(transaction, Schema);
            Execute(transaction, "INSERT INTO sorsa_study VALUES (@study, @definition, @version) ON CONFLICT DO NOTHING",
                ("definition", definition.ToJson()), ("version", s_version));
            definition.RequireSame(ReadDefinition(transaction)!, name);
            return true;
        });
    }

    /// <summary>What the study was begun with; null where there is none.</summary>
    public StudyDefinition? ReadDefinition() => InTransaction(ReadDefinition);

    /// <inheritdoc cref="IStudyStore.Read"/>
    public IReadOnlyDictionary<int, TrialResult> Read(SorsaSearchSpace space) =>
        Read(1, int.MaxValue, (name, text) => space[name].Parse(text));

    /// <summary>How far a trial has come that has started.</summary>
    /// <param name="settings">The trial.</param>
    public TrialResult Read(TrialSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        return Read(settings.TrialId, settings.TrialId, (_, text) => text)[settings.TrialId] with { TrialSettings = settings };
    }

    /// <summary>
    /// What was planned for a trial that has started; the parameters as texts, which a <see cref="TrialRunner"/> takes as well.
    /// </summary>
    /// <param name="trialId">The trial.</param>
    public TrialPlan ReadPlan(int trialId) => InTransaction(transaction => new TrialPlan(
        new TrialSettings(trialId, new OrderedDictionary<string, object?>(
            Query(transaction, "SELECT name, text FROM sorsa_parameter WHERE study = @study AND trial = @trial ORDER BY place",
                row => KeyValuePair.Create<string, object?>(row.GetString(0), row.GetString(1)), ("trial", trialId)),
            StringComparer.Ordinal)),
        Query(transaction, "SELECT loss FROM sorsa_limit WHERE study = @study AND trial = @trial ORDER BY look",
            row => Number(row, 0) ?? double.PositiveInfinity, ("trial", trialId))));

    /// <summary>Whether a trial that has started has no end yet.</summary>
    /// <param name="trialId">The trial.</param>
    public bool IsRunning(int trialId) => InTransaction(transaction => Query(transaction,
        "SELECT state FROM sorsa_trial WHERE study = @study AND trial = @trial", row => row.GetString(0), ("trial", trialId)))
        .Single() == nameof(TrialState.Running);

    /// <inheritdoc cref="IStudyStore.Start"/>
    public void Start(TrialPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        (string, object?) trial = ("trial", plan.Settings.TrialId);
        InTransaction(transaction =>
        {
            Execute(transaction, """
                INSERT INTO sorsa_trial (study, trial, state, milliseconds, version) VALUES (@study, @trial, 'Running', 0, @version)
                ON CONFLICT DO NOTHING
                """, trial, ("version", s_version));
            Execute(transaction, """
                DELETE FROM sorsa_curve WHERE study = @study AND trial = @trial
                AND EXISTS (SELECT 1 FROM sorsa_trial AS t WHERE t.study = @study AND t.trial = @trial AND t.state = 'Running')
                """, trial);
            foreach ((int place, (string name, object? value)) in plan.Settings.Parameters.Index())
            {
                Execute(transaction,
                    "INSERT INTO sorsa_parameter VALUES (@study, @trial, @place, @name, @text, @number) ON CONFLICT DO NOTHING",
                    trial, ("place", place), ("name", name), ("text", ParameterText.Of(value)),
                    ("number", value is double or int ? Convert.ToDouble(value, CultureInfo.InvariantCulture) : null));
            }

            for (int i = 0; i < plan.Limits.Count; i++)
            {
                Execute(transaction, "INSERT INTO sorsa_limit VALUES (@study, @trial, @look, @loss) ON CONFLICT DO NOTHING",
                    trial, ("look", i + 1), ("loss", double.IsInfinity(plan.Limits[i]) ? null : plan.Limits[i]));
            }

            return true;
        });
    }

    /// <inheritdoc cref="IStudyStore.AddCurvePoint"/>
    public void AddCurvePoint(int trialId, int evaluation, CurvePoint point)
    {
        ArgumentNullException.ThrowIfNull(point);
        InTransaction(transaction => AddPoint(transaction, trialId, evaluation, point));
    }

    /// <inheritdoc cref="IStudyStore.Finish"/>
    public bool Finish(TrialResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        int trial = result.TrialSettings.TrialId;
        return InTransaction(transaction =>
        {
            bool first = Execute(transaction, """
                UPDATE sorsa_trial SET state = @state, metric = @metric, orthonormality = @orthonormality, error = @error,
                milliseconds = @milliseconds, version = @version WHERE study = @study AND trial = @trial AND state = 'Running'
                """, ("trial", trial), ("state", result.State.ToString()), ("metric", result.Metric),
                ("orthonormality", result.Orthonormality), ("error", result.Error), ("milliseconds", result.DurationInMilliseconds),
                ("version", s_version)) == 1;
            if (first)
            {
                Execute(transaction, "DELETE FROM sorsa_curve WHERE study = @study AND trial = @trial", ("trial", trial));
                foreach ((int i, CurvePoint point) in result.Curve.Index())
                {
                    AddPoint(transaction, trial, i + 1, point);
                }
            }

            return first;
        });
    }

    private static double? Number(DbDataReader row, int column) => row.IsDBNull(column) ? null : row.GetDouble(column);

    private Dictionary<int, TrialResult> Read(int first, int last, Func<string, string, object?> parse) => InTransaction(transaction =>
    {
        (string, object?)[] range = [("first", first), ("last", last)];
        const string Where = "WHERE study = @study AND trial BETWEEN @first AND @last ORDER BY trial";
        ILookup<int, KeyValuePair<string, object?>> parameters = Query(
            transaction, $"SELECT trial, name, text FROM sorsa_parameter {Where}, place",
            row => (Trial: row.GetInt32(0), Value: KeyValuePair.Create(row.GetString(1), parse(row.GetString(1), row.GetString(2)))), range)
            .ToLookup(row => row.Trial, row => row.Value);
        ILookup<int, CurvePoint> curves = Query(transaction, $"SELECT trial, step, loss, orthonormality FROM sorsa_curve {Where}, look",
            row => (Trial: row.GetInt32(0), Point: new CurvePoint(row.GetInt32(1), row.GetDouble(2), Number(row, 3))), range)
            .ToLookup(row => row.Trial, row => row.Point);
        string trials = $"SELECT trial, state, metric, orthonormality, error, milliseconds, version FROM sorsa_trial {Where}";
        return Query(transaction, trials, row => new TrialResult
        {
            TrialSettings = new(
                row.GetInt32(0), new OrderedDictionary<string, object?>(parameters[row.GetInt32(0)], StringComparer.Ordinal)),
            State = Enum.Parse<TrialState>(row.GetString(1)),
            Metric = Number(row, 2),
            Curve = [.. curves[row.GetInt32(0)]],
            Orthonormality = Number(row, 3),
            Error = row.IsDBNull(4) ? null : row.GetString(4),
            DurationInMilliseconds = row.GetDouble(5),
            Version = row.GetString(6),
        }, range).ToDictionary(trial => trial.TrialSettings.TrialId);
    }, IsolationLevel.RepeatableRead);

    private StudyDefinition? ReadDefinition(DbTransaction transaction) => Query(transaction,
        "SELECT definition FROM sorsa_study WHERE study = @study", row => StudyDefinition.Parse(row.GetString(0))).FirstOrDefault();

    private int AddPoint(DbTransaction transaction, int trial, int evaluation, CurvePoint point) => Execute(transaction,
        "INSERT INTO sorsa_curve VALUES (@study, @trial, @look, @step, @loss, @orthonormality) ON CONFLICT DO NOTHING",
        ("trial", trial), ("look", evaluation), ("step", point.Step), ("loss", point.Loss), ("orthonormality", point.Orthonormality));

    /// <summary>All or nothing.</summary>
    /// <param name="act">What is done.</param>
    /// <param name="isolation">Repeatable: nobody else's in between. As it is, the database's own, which is less in PostgreSQL.</param>
    private T InTransaction<T>(Func<DbTransaction, T> act, IsolationLevel isolation = IsolationLevel.Unspecified)
    {
        lock (_turn)
        {
            try
            {
                using DbTransaction transaction = connection.BeginTransaction(isolation);
                T result = act(transaction);
                transaction.Commit();
                return result;
            }
            catch (DbException e)
            {
                throw explain(e);
            }
        }
    }

    private int Execute(DbTransaction transaction, string sql, params (string Name, object? Value)[] values)
    {
        using DbCommand command = Command(transaction, sql, values);
        return command.ExecuteNonQuery();
    }

    private List<T> Query<T>(
        DbTransaction transaction, string sql, Func<DbDataReader, T> read, params (string Name, object? Value)[] values)
    {
        using DbCommand command = Command(transaction, sql, values);
        using DbDataReader rows = command.ExecuteReader();
        var found = new List<T>();
        while (rows.Read())
        {
            found.Add(read(rows));
        }

        return found;
    }

    private DbCommand Command(DbTransaction transaction, string sql, (string Name, object? Value)[] values)
    {
        DbCommand command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = sql;
        foreach ((string name, object? value) in values.Prepend(("study", study)))
        {
            DbParameter parameter = command.CreateParameter();
            parameter.ParameterName = name;
            parameter.Value = value ?? DBNull.Value;
            parameter.DbType = value switch
            {
                string => DbType.String,
                int => DbType.Int32,
                null when name == "error" => DbType.String,
                _ => DbType.Double,
            };
            command.Parameters.Add(parameter);
        }

        return command;
    }
}
