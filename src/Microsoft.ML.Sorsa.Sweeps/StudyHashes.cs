using System.Data.Common;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>The hashes that a study's tables hold beside its trials: see <see cref="StudyHash"/>.</summary>
internal sealed class StudyHashes
{
    private const string ParametersPart = "parameters", LimitsPart = "limits", ResultPart = "results";

    private readonly string _name;
    private readonly Dictionary<(int Trial, string Part), string> _stored;

    /// <summary>Reads those of a range of trials.</summary>
    /// <param name="sql">The study's statements.</param>
    /// <param name="transaction">Within which they are read.</param>
    /// <param name="name">The study as messages name it.</param>
    /// <param name="first">The first trial.</param>
    /// <param name="last">The last one.</param>
    public StudyHashes(SqlStatements sql, DbTransaction transaction, string name, int first, int last)
    {
        _name = name;
        _stored = sql.Query(
            transaction, "trial, part, hash", "sorsa_hash WHERE study = @study AND trial BETWEEN @first AND @last",
            row => (Key: (row.Trial, row.Text("part")), Hash: row.Text("hash")), ("first", first), ("last", last))
            .ToDictionary(row => row.Key, row => row.Hash);
    }

    /// <summary>Of what a trial starts with.</summary>
    public static void Write(SqlStatements sql, DbTransaction transaction, TrialPlan plan)
    {
        Write(sql, transaction, plan.Settings, ParametersPart, StudyHash.OfParameters(plan.Settings));
        Write(sql, transaction, plan.Settings, LimitsPart, StudyHash.OfLimits(plan.Limits));
    }

    /// <summary>Of what a trial ended with.</summary>
    public static void Write(SqlStatements sql, DbTransaction transaction, TrialResult ended) =>
        Write(sql, transaction, ended.TrialSettings, ResultPart, StudyHash.OfResult(ended));

    /// <exception cref="InvalidDataException">A trial was started with something else.</exception>
    public void Verify(TrialPlan plan)
    {
        Verify(plan.Settings, ParametersPart, StudyHash.OfParameters(plan.Settings));
        Verify(plan.Settings, LimitsPart, StudyHash.OfLimits(plan.Limits));
    }

    /// <exception cref="InvalidDataException">
    /// A trial has other parameters or another end than were written, or one that was started is not there.
    /// </exception>
    public void Verify(Dictionary<int, TrialResult> trials)
    {
        foreach ((int lost, _) in _stored.Keys.Where(hash => !trials.ContainsKey(hash.Trial)))
        {
            throw StudyRow.Damaged(_name, lost, "it was started, and is gone.");
        }

        foreach (TrialResult trial in trials.Values)
        {
            Verify(trial.TrialSettings, ParametersPart, StudyHash.OfParameters(trial.TrialSettings));
            if (trial.State != TrialState.Running)
            {
                Verify(trial.TrialSettings, ResultPart, StudyHash.OfResult(trial));
            }
        }
    }

    private static void Write(SqlStatements sql, DbTransaction transaction, TrialSettings trial, string part, string hash) => sql.Execute(
        transaction, "INSERT INTO sorsa_hash VALUES (@study, @trial, @part, @hash) ON CONFLICT DO NOTHING",
        ("trial", trial.TrialId), ("part", part), ("hash", hash));

    private void Verify(TrialSettings trial, string part, string hash)
    {
        if (_stored.GetValueOrDefault((trial.TrialId, part)) != hash)
        {
            throw StudyRow.Damaged(
                _name, trial.TrialId, $"the {part} are not as they were written: their hash is another one.");
        }
    }
}
