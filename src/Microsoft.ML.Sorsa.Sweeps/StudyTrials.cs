using System.Data.Common;
using System.Globalization;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>The trials of a study as its tables hold them, each row looked at by itself and with its neighbours.</summary>
/// <param name="sql">The study's statements.</param>
/// <param name="transaction">Within which all is read.</param>
/// <param name="name">The study as messages name it.</param>
internal sealed class StudyTrials(SqlStatements sql, DbTransaction transaction, string name)
{
    private const string Range = "WHERE study = @study AND trial BETWEEN @first AND @last ORDER BY trial";

    /// <summary>By their number; their parameters are texts.</summary>
    public Dictionary<int, TrialResult> Read(int first, int last)
    {
        (string, object?)[] range = [("first", first), ("last", last)];
        var parameters = Parameters(first, last);
        ILookup<int, (int Look, CurvePoint Point)> curves = Curves(range);
        var trials = sql.Query(transaction, "trial, state, metric, orthonormality, error, milliseconds, version", $"sorsa_trial {Range}",
            row =>
            {
                TrialState state = row.State("state");
                return new TrialResult
                {
                    TrialSettings = new(row.Trial, parameters.GetValueOrDefault(row.Trial)
                        ?? throw StudyRow.Damaged(name, row.Trial, "it has no parameters.")),
                    State = state,
                    Metric = row.NumberOrNull("metric"),
                    Curve = [.. Curve(row.Trial, curves[row.Trial], isRunning: state == TrialState.Running)],
                    Orthonormality = row.NumberOrNull("orthonormality"),
                    Error = row.TextOrNull("error"),
                    DurationInMilliseconds = row.Number("milliseconds", least: 0),
                    Version = row.Text("version"),
                };
            }, range).ToDictionary(trial => trial.TrialSettings.TrialId);
        foreach ((int id, TrialResult trial) in trials)
        {
            if (trial.State == TrialState.Completed && !(trial.Metric is { } metric && double.IsFinite(metric)))
            {
                throw StudyRow.Damaged(name, id, $"it is completed, and its metric is {ParameterText.Of(trial.Metric)}.");
            }
        }

        return trials;
    }

    /// <summary>By trial, in the order of the search space: names, and values as texts.</summary>
    public Dictionary<int, IReadOnlyDictionary<string, object?>> Parameters(int first, int last) => sql.Query(
        transaction, "trial, place, name, text, number", $"sorsa_parameter {Range}, place", row =>
        {
            (string option, string text) = (row.Text("name"), row.Text("text"));
            return row.NumberOrNull("number") is not { } number || IsNumber(text, number)
                ? (row.Trial, Option: KeyValuePair.Create(option, (object?)text))
                : throw StudyRow.Damaged(name, row.Trial,
                    string.Create(CultureInfo.InvariantCulture, $"{option} is '{text}' as a text, and {number:R} as a number."));
        }, ("first", first), ("last", last))
        .GroupBy(row => row.Trial, row => row.Option)
        .ToDictionary(
            trial => trial.Key,
            trial => (IReadOnlyDictionary<string, object?>)new OrderedDictionary<string, object?>(trial, StringComparer.Ordinal));

    /// <summary>Of one trial, by evaluation.</summary>
    public IReadOnlyList<double> Limits(int trial) => InOrder(sql.Query(
        transaction, "trial, look, loss", "sorsa_limit WHERE study = @study AND trial = @trial ORDER BY look",
        row => (row.Trial, Look: row.Whole("look", 1), Loss: row.NumberOrNull("loss") ?? double.PositiveInfinity), ("trial", trial)),
        row => (row.Trial, row.Look), "limits").Select(row => row.Loss).ToArray();

    private ILookup<int, (int Look, CurvePoint Point)> Curves((string, object?)[] range) => sql.Query(
        transaction, "trial, look, step, loss, orthonormality", $"sorsa_curve {Range}, look",
        row => (row.Trial, Look: row.Whole("look", 1),
            Point: new CurvePoint(row.Whole("step", 1), row.Number("loss"), row.NumberOrNull("orthonormality"))), range)
        .ToLookup(row => row.Trial, row => (row.Look, row.Point));

    /// <summary>
    /// The points in their order. Two workers may run one trial at the same time, after its experiment was begun again: until it ends, the
    /// later points of the one may be there before the first ones of the other.
    /// </summary>
    private IEnumerable<CurvePoint> Curve(int trial, IEnumerable<(int Look, CurvePoint Point)> points, bool isRunning) =>
        (isRunning
            ? points.TakeWhile((point, index) => point.Look == index + 1)
            : InOrder([.. points], point => (trial, point.Look), "losses"))
        .Select(point => point.Point);

    /// <summary>Refuses rows of which one is missing: each trial's are numbered from 1.</summary>
    private List<T> InOrder<T>(List<T> rows, Func<T, (int Trial, int Look)> place, string what)
    {
        (int Trial, int Look) before = (0, 0);
        foreach ((int trial, int look) in rows.Select(place))
        {
            int expected = trial == before.Trial ? before.Look + 1 : 1;
            if (look != expected)
            {
                throw StudyRow.Damaged(name, trial,
                    string.Create(CultureInfo.InvariantCulture, $"its {what} have number {look} where {expected} belongs."));
            }

            before = (trial, look);
        }

        return rows;
    }

    private static bool IsNumber(string text, double number) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value == number;
}
