using System.Diagnostics;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>The tests' own program as a process that may be killed: a worker, or an experiment.</summary>
internal sealed class SweepProcess : IDisposable
{
    private const string Worker = "--sweep-worker", Experiment = "--sweep-experiment";

    /// <summary>The database goes this way: every user of a machine can read a command line.</summary>
    private const string Database = "SORSA_TEST_POSTGRES";

    private readonly Process _process;

    private SweepProcess(string connectionString, params string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Microsoft.ML.Sorsa.Tests"), arguments);
        start.Environment[Database] = connectionString;
        _process = Process.Start(start)!;
    }

    public static SweepProcess StartWorker(string connectionString, string cache) => new(connectionString, Worker, cache);

    public static SweepProcess StartExperiment(string connectionString, string study, string cache) =>
        new(connectionString, Experiment, study, cache);

    public static bool Is(string[] arguments) => arguments is [Worker or Experiment, ..];

    /// <summary>What the process does, until it is killed.</summary>
    public static void Run(string[] arguments)
    {
        string database = Environment.GetEnvironmentVariable(Database)!;
        if (arguments[0] == Worker)
        {
            TinySweep.Worker(database, arguments[1]).Run(CancellationToken.None);
        }
        else
        {
            TinySweep.Experiment.SetHangfire(database, arguments[1]).SetDecompositionCache(arguments[2]).Run().Dispose();
        }
    }

    /// <summary>As kill -9 does.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    public void Dispose()
    {
        Kill();
        _process.Dispose();
    }
}
