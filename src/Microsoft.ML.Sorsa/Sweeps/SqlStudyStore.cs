using System.Data;
using System.Data.Common;
using System.Globalization;
using System.Reflection;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>A study in five tables of a database; one statement or transaction per call. Numbers are stored as the doubles that they are.</summary>
internal abstract class SqlStudyStore(string study) : IStudyStore
{
    /// <summary>Of the library: every trial names the one that ran it.</summary>
    private static readonly string Version = typeof(SqlStudyStore).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    /// <summary>Both SQLite and PostgreSQL read it.</summary>
    private const string Schema = """
        CREATE TABLE IF NOT EXISTS sorsa_study (study TEXT PRIMARY KEY, definition TEXT NOT NULL, version TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS sorsa_trial (study TEXT NOT NULL, trial INTEGER NOT NULL, state TEXT NOT NULL, metric DOUBLE PRECISION,
            orthonormality DOUBLE PRECISION, error TEXT, milliseconds DOUBLE PRECISION NOT NULL, version TEXT NOT NULL, PRIMARY KEY (study, trial));
        CREATE TABLE IF NOT EXISTS sorsa_parameter (study TEXT NOT NULL, trial INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL,
            number DOUBLE PRECISION, PRIMARY KEY (study, trial, name));
        CREATE TABLE IF NOT EXISTS sorsa_limit (study TEXT NOT NULL, trial INTEGER NOT NULL, look INTEGER NOT NULL, loss DOUBLE PRECISION,
            PRIMARY KEY (study, trial, look));
        CREATE TABLE IF NOT EXISTS sorsa_curve (study TEXT NOT NULL, trial INTEGER NOT NULL, look INTEGER NOT NULL, step INTEGER NOT NULL, loss DOUBLE PRECISION NOT NULL,
            orthonormality DOUBLE PRECISION, PRIMARY KEY (study, trial, look));
        """;

    private readonly Lock _turn = new();

    public abstract string Name { get; }

    /// <summary>The study's own name in the database.</summary>
    protected string Study => study;

    /// <summary>An open connection, which stays.</summary>
    protected abstract DbConnection Connection { get; }

    public virtual void Open(StudyDefinition definition) => InTransaction(transaction =>
    {
        Execute(transaction, Schema);
        Execute(transaction, "INSERT INTO sorsa_study VALUES (@study, @definition, @version) ON CONFLICT DO NOTHING", ("definition", definition.ToJson()), ("version", Version));
        definition.RequireSame(ReadDefinition(transaction)!, Name);
        return true;
    });

    public IReadOnlyDictionary<int, TrialResult> Read(SorsaSearchSpace space) => Read(space, 1, int.MaxValue);

    /// <summary>One trial, which has started.</summary>
    public TrialResult Read(SorsaSearchSpace space, int trialId) => Read(space, trialId, trialId)[trialId];

    public void Start(TrialPlan plan) => InTransaction(transaction =>
    {
        (string, object?) trial = ("trial", plan.Settings.TrialId);
        Execute(transaction, "INSERT INTO sorsa_trial (study, trial, state, milliseconds, version) VALUES (@study, @trial, 'Running', 0, @version) ON CONFLICT DO NOTHING", trial, ("version", Version));
        Execute(transaction, "DELETE FROM sorsa_curve WHERE study = @study AND trial = @trial AND EXISTS (SELECT 1 FROM sorsa_trial AS t WHERE t.study = @study AND t.trial = @trial AND t.state = 'Running')", trial);
        int place = 0;
        foreach ((string name, object? value) in plan.Settings.Parameters)
        {
            Execute(transaction, "INSERT INTO sorsa_parameter VALUES (@study, @trial, @place, @name, @text, @number) ON CONFLICT DO NOTHING",
                trial, ("place", place++), ("name", name), ("text", ParameterText.Of(value)), ("number", value is double or int ? Convert.ToDouble(value, CultureInfo.InvariantCulture) : null));
        }

        for (int i = 0; i < plan.Limits.Count; i++)
        {
            Execute(transaction, "INSERT INTO sorsa_limit VALUES (@study, @trial, @look, @loss) ON CONFLICT DO NOTHING",
                trial, ("look", i + 1), ("loss", double.IsInfinity(plan.Limits[i]) ? null : plan.Limits[i]));
        }

        return true;
    });

    public void Add(int trialId, int look, CurvePoint point) => InTransaction(transaction =>
    {
        AddPoint(transaction, trialId, look, point);
        return true;
    });

    public bool Finish(TrialResult result) => InTransaction(transaction =>
    {
        int trial = result.TrialSettings.TrialId;
        bool first = Execute(transaction, """
            UPDATE sorsa_trial SET state = @state, metric = @metric, orthonormality = @orthonormality, error = @error, milliseconds = @milliseconds, version = @version
            WHERE study = @study AND trial = @trial AND state = 'Running'
            """, ("trial", trial), ("state", result.State.ToString()), ("metric", result.Metric), ("orthonormality", result.Orthonormality), ("error", result.Error),
            ("milliseconds", result.DurationInMilliseconds), ("version", Version)) == 1;
        if (first)
        {
            Execute(transaction, "DELETE FROM sorsa_curve WHERE study = @study AND trial = @trial", ("trial", trial));
            for (int i = 0; i < result.Curve.Count; i++)
            {
                AddPoint(transaction, trial, i + 1, result.Curve[i]);
            }
        }

        return first;
    });

    /// <summary>What was planned for a trial, of a study that is there; the parameters as texts, which <see cref="SorsaFineTuningTrainer.Options.Set"/> takes as well.</summary>
    public TrialPlan ReadPlan(int trialId) => InTransaction(transaction => new TrialPlan(
        new TrialSettings(trialId, new OrderedDictionary<string, object?>(
            Query(transaction, "SELECT name, text FROM sorsa_parameter WHERE study = @study AND trial = @trial ORDER BY place",
                row => KeyValuePair.Create<string, object?>(row.GetString(0), row.GetString(1)), ("trial", trialId)), StringComparer.Ordinal)),
        Query(transaction, "SELECT loss FROM sorsa_limit WHERE study = @study AND trial = @trial ORDER BY look", row => Number(row, 0) ?? double.PositiveInfinity, ("trial", trialId))));

    /// <summary>What the study was begun with; null where there is none.</summary>
    public StudyDefinition? ReadDefinition() => InTransaction(ReadDefinition);

    public virtual void Dispose() => Connection.Dispose();

    /// <summary>An error of the database as one that says what to do.</summary>
    protected abstract Exception Explain(DbException error);

    /// <summary>All or nothing.</summary>
    /// <param name="act">What is done.</param>
    /// <param name="isolation">Repeatable: nobody else's in between. As it is, the database's own, which is less in PostgreSQL.</param>
    protected T InTransaction<T>(Func<DbTransaction, T> act, IsolationLevel isolation = IsolationLevel.Unspecified)
    {
        lock (_turn)
        {
            try
            {
                using DbTransaction transaction = Connection.BeginTransaction(isolation);
                T result = act(transaction);
                transaction.Commit();
                return result;
            }
            catch (DbException e)
            {
                throw Explain(e);
            }
        }
    }

    protected int Execute(DbTransaction transaction, string sql, params (string Name, object? Value)[] values)
    {
        using DbCommand command = Command(transaction, sql, values);
        return command.ExecuteNonQuery();
    }

    protected List<T> Query<T>(DbTransaction transaction, string sql, Func<DbDataReader, T> read, params (string Name, object? Value)[] values)
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

    private Dictionary<int, TrialResult> Read(SorsaSearchSpace space, int first, int last) => InTransaction(transaction =>
    {
        (string, object?)[] range = [("first", first), ("last", last)];
        ILookup<int, KeyValuePair<string, object?>> parameters = Query(transaction, "SELECT trial, name, text FROM sorsa_parameter WHERE study = @study AND trial BETWEEN @first AND @last ORDER BY trial, place",
            row => (Trial: row.GetInt32(0), Value: KeyValuePair.Create(row.GetString(1), space[row.GetString(1)].Parse(row.GetString(2)))), range).ToLookup(row => row.Trial, row => row.Value);
        ILookup<int, CurvePoint> curves = Query(transaction, "SELECT trial, step, loss, orthonormality FROM sorsa_curve WHERE study = @study AND trial BETWEEN @first AND @last ORDER BY trial, look",
            row => (Trial: row.GetInt32(0), Point: new CurvePoint(row.GetInt32(1), row.GetDouble(2), Number(row, 3))), range).ToLookup(row => row.Trial, row => row.Point);
        return Query(transaction, "SELECT trial, state, metric, orthonormality, error, milliseconds, version FROM sorsa_trial WHERE study = @study AND trial BETWEEN @first AND @last ORDER BY trial", row => new TrialResult
        {
            TrialSettings = new TrialSettings(row.GetInt32(0), new OrderedDictionary<string, object?>(parameters[row.GetInt32(0)], StringComparer.Ordinal)),
            State = Enum.Parse<TrialState>(row.GetString(1)),
            Metric = Number(row, 2),
            Curve = [.. curves[row.GetInt32(0)]],
            Orthonormality = Number(row, 3),
            Error = row.IsDBNull(4) ? null : row.GetString(4),
            DurationInMilliseconds = row.GetDouble(5),
            Version = row.GetString(6),
        }, range).ToDictionary(trial => trial.TrialSettings.TrialId);
    }, IsolationLevel.RepeatableRead);

    private static double? Number(DbDataReader row, int column) => row.IsDBNull(column) ? null : row.GetDouble(column);

    private DbCommand Command(DbTransaction transaction, string sql, (string Name, object? Value)[] values)
    {
        DbCommand command = Connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = sql;
        foreach ((string name, object? value) in values.Prepend(("study", study)))
        {
            DbParameter parameter = command.CreateParameter();
            parameter.ParameterName = name;
            parameter.Value = value ?? DBNull.Value;
            parameter.DbType = value switch { string => DbType.String, int => DbType.Int32, null when name == "error" => DbType.String, _ => DbType.Double };
            command.Parameters.Add(parameter);
        }

        return command;
    }

    private StudyDefinition? ReadDefinition(DbTransaction transaction) =>
        Query(transaction, "SELECT definition FROM sorsa_study WHERE study = @study", row => StudyDefinition.Parse(row.GetString(0))).FirstOrDefault();

    private void AddPoint(DbTransaction transaction, int trial, int look, CurvePoint point) => Execute(transaction,
        "INSERT INTO sorsa_curve VALUES (@study, @trial, @look, @step, @loss, @orthonormality) ON CONFLICT DO NOTHING",
        ("trial", trial), ("look", look), ("step", point.Step), ("loss", point.Loss), ("orthonormality", point.Orthonormality));
}
