using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Sorsa;

namespace SweepGammaAndRank;

/// <summary>
/// Worker processes on this machine, the database between them and the experiment, and the dashboard; all of them end with it.
/// </summary>
internal sealed class Workers : IDisposable
{
    private readonly LocalPostgres? _server;
    private readonly List<Process> _processes = [];
    private readonly Dashboard _dashboard;

    /// <param name="settings">How many workers, and where the database is; where it is not said, a server of one's own is started in the
    /// output folder.</param>
    public Workers(Settings settings)
    {
        string? named = Database.Named(settings.Postgres);
        _server = named is null ? LocalPostgres.Start(Path.Combine(settings.Out, "postgres")) : null;
        ConnectionString = named ?? _server!.ConnectionString;
        _dashboard = new Dashboard(ConnectionString, settings.DashboardPort);
        for (int i = 0; i < (settings.StartedWorkers ?? 0); i++)
        {
            _processes.Add(Start(settings.Model));
        }
    }

    public string ConnectionString { get; }

    public Uri DashboardAddress => _dashboard.Address;

    /// <summary>What a worker process does, on this machine or on another: trials, until it is told to stop.</summary>
    public static int Work(string? postgres, string model, string? cache, bool endsWithItsParent)
    {
        string connection = Database.Named(postgres) ?? throw new ArgumentException(
            $"--postgres is missing, and {Database.Variable} is not set: name the database of the experiment.");
        using var stop = new CancellationTokenSource();
        if (endsWithItsParent)
        {
            // Its end of the pipe closes when the process that started this one ends, however it does.
            void StopWithTheParent()
            {
                Console.In.ReadToEnd();
                stop.Cancel();
            }

            var watch = new Thread(StopWithTheParent) { IsBackground = true };
            watch.Start();
        }

        Console.CancelKeyPress += (_, pressed) =>
        {
            pressed.Cancel = true;
            stop.Cancel();
        };
        new SorsaSweepWorker(new MLContext(), connection, model, new SorsaSweepWorker.Options { CacheFolder = cache }).Run(stop.Token);
        return 0;
    }

    public void Dispose()
    {
        // There is nothing to save: a trial that is under way is another worker's, and the experiment waits for none any more.
        foreach (Process process in _processes)
        {
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }

        _dashboard.Dispose();
        _server?.Dispose();
    }

    private Process Start(string model)
    {
        string program = Environment.ProcessPath!;
        string[] host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [typeof(Workers).Assembly.Location] : [];
        var start = new ProcessStartInfo(program, [.. host, "worker", "--model", model, "--with-parent"]) { RedirectStandardInput = true };
        start.Environment[Database.Variable] = ConnectionString;
        return Process.Start(start)!;
    }
}
