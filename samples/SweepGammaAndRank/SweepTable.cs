using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Sweeps;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace SweepGammaAndRank;

/// <summary>The trials as they go: a live table in a terminal; where the output is a file, a line per trial at its end.</summary>
internal sealed class SweepTable(int trials) : IMonitor
{
    private const string Blocks = "▁▂▃▄▅▆▇█";

    private readonly SortedDictionary<int, (TrialSettings Settings, List<CurvePoint> Curve, TrialResult? Result)> _rows = [];
    private readonly Stopwatch _clock = new();
    private LiveDisplayContext? _live;
    private TrialResult? _best;
    private int _known;

    /// <summary>Runs something with the table on the screen.</summary>
    public T Show<T>(Func<T> run)
    {
        _clock.Start();
        if (!AnsiConsole.Profile.Capabilities.Interactive || Console.IsOutputRedirected)
        {
            return run();
        }

        return AnsiConsole.Live(Render()).Start(live =>
        {
            _live = live;
            T result = run();
            Refresh();
            return result;
        });
    }

    public void ReportRunningTrial(TrialSettings settings)
    {
        _rows[settings.TrialId] = (settings, [], null);
        Refresh();
    }

    public void ReportCurvePoint(TrialSettings settings, CurvePoint point)
    {
        _rows[settings.TrialId].Curve.Add(point);
        Refresh();
    }

    public void ReportCompletedTrial(TrialResult result) => Ended(result);

    public void ReportFailTrial(TrialResult result) => Ended(result);

    public void ReportBestTrial(TrialResult result)
    {
        _best = result;
        Refresh();
    }

    private void Ended(TrialResult result)
    {
        // Trials of an earlier run are told of before any starts.
        _known += _rows.ContainsKey(result.TrialSettings.TrialId) ? 0 : 1;
        _rows[result.TrialSettings.TrialId] = (result.TrialSettings, [.. result.Curve], result);
        if (_live is null)
        {
            string outcome = result.Metric?.ToString("F4", CultureInfo.InvariantCulture) ?? result.Error ?? "";
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"trial {result.TrialSettings.TrialId,3}  {State(result),-9}  {Parameters(result.TrialSettings)}  " +
                $"{Sparkline(result.Curve),-10}  {outcome}"));
        }

        Refresh();
    }

    private void Refresh() => _live?.UpdateTarget(Render());

    private Rows Render()
    {
        Table table = new Table().RoundedBorder().AddColumns("trial", "state", "parameters", "validation loss", "", "metric");
        foreach ((int trial, (TrialSettings settings, List<CurvePoint> curve, TrialResult? result)) in _rows)
        {
            bool isBest = trial == _best?.TrialSettings.TrialId;
            string colour = isBest ? "green" : result?.State switch
            {
                TrialState.Pruned => "grey",
                TrialState.Failed => "red",
                null => "yellow",
                _ => "default",
            };
            string[] cells =
            [
                trial.ToString(CultureInfo.InvariantCulture),
                result is null ? "running" : State(result),
                Parameters(settings),
                Sparkline(curve),
                curve.Count == 0 ? "" : curve[^1].Loss.ToString("F4", CultureInfo.InvariantCulture),
                result?.Metric?.ToString("F4", CultureInfo.InvariantCulture) ?? "",
            ];
            table.AddRow([.. cells.Select(cell => new Markup($"[{colour}]{Markup.Escape(cell)}[/]"))]);
        }

        int done = _rows.Values.Count(row => row.Result is not null), doneHere = done - _known;
        string remaining = doneHere == 0 || done >= trials
            ? ""
            : string.Create(CultureInfo.InvariantCulture, $", about {_clock.Elapsed / doneHere * (trials - done):m\\:ss} left");
        string best = _best is null
            ? ""
            : string.Create(
                CultureInfo.InvariantCulture,
                $"best: trial {_best.TrialSettings.TrialId}, {_best.Metric:F4}, {Parameters(_best.TrialSettings)}");
        string progress = string.Create(CultureInfo.InvariantCulture, $"{done} of {trials} trials in {_clock.Elapsed:m\\:ss}{remaining}");
        return new Rows(table, new Text(progress), new Text(best));
    }

    private static string State(TrialResult result) => result.State.ToString().ToLowerInvariant();

    private static string Parameters(TrialSettings settings) =>
        string.Join("  ", settings.Parameters.Select(parameter => $"{parameter.Key} {Short(parameter.Value)}"));

    private static string Short(object? value) => value switch
    {
        double number => number.ToString("G3", CultureInfo.InvariantCulture),
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        IEnumerable<string> names => string.Join(',', names),
        _ => value?.ToString() ?? "null",
    };

    private static string Sparkline(IReadOnlyList<CurvePoint> curve)
    {
        if (curve.Count == 0)
        {
            return "";
        }

        double least = curve.Min(point => point.Loss), most = curve.Max(point => point.Loss);
        return string.Concat(curve.Select(point =>
            Blocks[(int)Math.Round((point.Loss - least) / Math.Max(most - least, 1e-12) * (Blocks.Length - 1))]));
    }
}
