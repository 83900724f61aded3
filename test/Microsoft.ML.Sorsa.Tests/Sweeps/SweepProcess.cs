using System.Diagnostics;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>The tests' own program as a process that may be killed: a worker, or an experiment.</summary>
internal sealed class SweepProcess : IDisposable
{
    private const string Worker = "--sweep-worker", Experiment = "--sweep-experiment";

    private readonly Process _process;

    private SweepProcess(params string[] arguments) =>
        _process = Process.Start(Path.Combine(AppContext.BaseDirectory, "Microsoft.ML.Sorsa.Tests"), arguments);

    public static SweepProcess StartWorker(string connectionString, string cache) => new(Worker, connectionString, cache);

    public static SweepProcess StartExperiment(string connectionString, string study, string cache) =>
        new(Experiment, connectionString, study, cache);

    public static bool Is(string[] arguments) => arguments is [Worker or Experiment, ..];

    /// <summary>What the process does, until it is killed.</summary>
    public static void Run(string[] arguments)
    {
        if (arguments[0] == Worker)
        {
            TinySweep.Worker(arguments[1], arguments[2]).Run(CancellationToken.None);
        }
        else
        {
            TinySweep.Experiment.SetHangfire(arguments[1], arguments[2]).SetDecompositionCache(arguments[3]).Run().Dispose();
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
