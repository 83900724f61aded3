using System.Data.Common;
using System.Globalization;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// A row of a study's table. SQLite keeps anything in any column, and turns what is no number into 0 where a number is asked for: here what
/// does not belong into its column is an error that names the study, the trial and the column.
/// </summary>
/// <param name="row">Where the database stands.</param>
/// <param name="study">The study as messages name it.</param>
/// <param name="table">The table.</param>
internal sealed class StudyRow(DbDataReader row, string study, string table)
{
    private const string TrialColumn = "trial", Remedy = "Put a copy of the study back, or begin another one.";

    /// <summary>The number of the trial that the row is of.</summary>
    public int Trial => Whole(TrialColumn, 1);

    public int Whole(string column, int least) => row[column] switch
    {
        int value when value >= least => value,
        long value when value >= least && value <= int.MaxValue => (int)value,
        var found => throw Damaged(column, found, string.Create(CultureInfo.InvariantCulture, $"a whole number from {least} on")),
    };

    public double Number(string column, double least = double.NegativeInfinity) =>
        NumberOrNull(column) is { } value && value >= least
            ? value
            : throw Damaged(column, row[column],
                double.IsInfinity(least) ? "a number" : string.Create(CultureInfo.InvariantCulture, $"a number from {least} on"));

    public double? NumberOrNull(string column) => row[column] switch
    {
        DBNull => null,
        double value when !double.IsNaN(value) => value,
        long value => value,
        var found => throw Damaged(column, found, "a number"),
    };

    public string Text(string column) => TextOrNull(column) ?? throw Damaged(column, DBNull.Value, "a text");

    public string? TextOrNull(string column) => row[column] switch
    {
        DBNull => null,
        string value => value,
        var found => throw Damaged(column, found, "a text"),
    };

    /// <summary>A text that stands for something.</summary>
    /// <param name="column">The column.</param>
    /// <param name="parse">Throws an <see cref="InvalidDataException"/> where it is not that.</param>
    public T Parsed<T>(string column, Func<string, T> parse)
    {
        string text = Text(column);
        try
        {
            return parse(text);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"{Where(column)} cannot be read: {e.Message} {Remedy}", e);
        }
    }

    public TrialState State(string column) =>
        Enum.GetValues<TrialState>().Where(state => state.ToString() == Text(column)).Cast<TrialState?>().FirstOrDefault()
        ?? throw Damaged(column, row[column], $"one of {string.Join(", ", Enum.GetNames<TrialState>())}");

    /// <summary>Something of a trial, or of the study itself, that is not what it must be.</summary>
    public static InvalidDataException Damaged(string study, int? trial, string what) => new(string.Create(
        CultureInfo.InvariantCulture, $"{study} is damaged{(trial is null ? "" : $" at trial {trial}")}: {what} {Remedy}"));

    private InvalidDataException Damaged(string column, object found, string expected)
    {
        string shown = found switch
        {
            DBNull => "nothing",
            byte[] bytes => string.Create(CultureInfo.InvariantCulture, $"{bytes.Length} bytes"),
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            _ => $"'{Short(found.ToString() ?? "")}'",
        };
        return new InvalidDataException($"{Where(column)} holds {shown}, where {expected} belongs. {Remedy}");
    }

    private string Where(string column)
    {
        bool hasTrial = Enumerable.Range(0, row.FieldCount).Any(i => row.GetName(i) == TrialColumn);
        string trial = hasTrial && column != TrialColumn
            ? string.Create(CultureInfo.InvariantCulture, $" at trial {row[TrialColumn]}")
            : "";
        return $"{study} is damaged{trial}: column '{column}' of table {table}";
    }

    private static string Short(string text) => text.Length <= 80 ? text : text[..80] + "…";
}
