using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.Sorsa.Benchmarks.Gpu;

/// <summary>
/// Rows that are run one after the other: one that fails says why, and the next goes on; what the time is too short for is said.
/// </summary>
/// <param name="budget">After this no row begins.</param>
/// <param name="chosen">Only rows whose names begin with one of these; empty: all.</param>
internal sealed class GuardedRows(TimeSpan budget, IReadOnlyList<string> chosen)
{
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private int _passed, _all;

    /// <summary>Whether a row that has begun would be one too many.</summary>
    public bool IsOver => _clock.Elapsed > budget;

    /// <summary>Whether any row of that beginning is asked for.</summary>
    public bool Has(string name) => chosen.Count == 0
        || chosen.Any(word => name.StartsWith(word, StringComparison.Ordinal));

    /// <param name="name">What it shows.</param>
    /// <param name="row">Does it; what it gives is printed. An exception is a failure.</param>
    public void Run(string name, Func<string> row)
    {
        if (!Has(name))
        {
            return;
        }

        _all++;
        if (IsOver)
        {
            Say($"SKIPPED {name}: the budget of {budget.TotalSeconds:F0} s is used up");
            return;
        }

        double begun = _clock.Elapsed.TotalSeconds;
        try
        {
            string said = row();
            Say($"ok    {name}: {said} [{_clock.Elapsed.TotalSeconds - begun:F1} s]");
            _passed++;
        }
        catch (Exception error)
        {
            // Whatever it is, the rows behind it are worth their time on a machine that is lent for minutes.
            string why = error.Message.ReplaceLineEndings(" / ");
            Say($"FAIL  {name}: {error.GetType().Name}: {why} [{_clock.Elapsed.TotalSeconds - begun:F1} s]");
            Console.Error.WriteLine(error);
        }
    }

    /// <summary>The last line.</summary>
    /// <returns>The exit code.</returns>
    public int Close()
    {
        Say($"gpu check: {_passed} of {_all} passed in {_clock.Elapsed.TotalSeconds:F0} s");
        return _all > 0 && _passed == _all ? 0 : 1;
    }

    private static void Say(FormattableString line)
    {
        Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));
        Console.Out.Flush();
    }
}
