using System.Globalization;
using Microsoft.ML.Sorsa.Sweeps;
using SweepGammaAndRank;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// Kills studies of 16 short trials (SIGKILL) at random moments and runs them again, until they are done: the table at the end must be
/// that of a study that was left alone. Every second study is one with two workers on PostgreSQL, where there is one, and it is the caller
/// or a worker that is killed. Ends with an error where a table differs.
/// </summary>
internal static class SweepKills
{
    /// <summary>The environment variable that names the database to the processes.</summary>
    public const string DatabaseVariable = "SORSA_KILLS_POSTGRES";

    public const string CallerVerb = "kills-caller";
    public const string WorkerVerb = "kills-worker";

    private const int Trials = 16;
    private const int KillsPerStudy = 20;
    private const string TableFile = "table.txt";

    public static int Run(string[] args)
    {
        int kills = new Arguments(args, ["kills"]).Number("kills", 200);
        string folder = Directory.CreateTempSubdirectory("sorsa-kills-").FullName;

        // The server runs as another user, who must reach its folder.
        using TemporaryServer? server = LocalPostgres.Missing is { } reason ? Without(reason) : new TemporaryServer();
        try
        {
            string[] expected = new KilledStudy(Path.Combine(folder, "alone"), server: null, new Random(0)).Run(kills: 0).Table;
            Console.WriteLine(FormattableString.Invariant($"left alone: {expected.Length} trials"));
            int done = 0;
            for (int study = 1; done < kills; study++)
            {
                bool remote = server is not null && study % 2 == 0;
                var killed = new KilledStudy(
                    Path.Combine(folder, $"study-{study}"), remote ? server!.ConnectionString : null, new Random(study));

                // The last study takes what is left, so that a short run has one of each kind.
                int share = server is not null && study == 1
                    ? Math.Min(KillsPerStudy, (kills + 1) / 2)
                    : Math.Min(KillsPerStudy, kills - done);
                (string[] table, int callers, int workers) = killed.Run(share);
                done += callers + workers;
                bool equal = table.SequenceEqual(expected);
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"study {study} ({(remote ? "PostgreSQL, two workers" : "SQLite")}): caller killed {callers} times, " +
                    $"workers {workers}; {table.Length} trials, table {(equal ? "equal" : "DIFFERS")}"));
                if (!equal)
                {
                    Console.WriteLine(string.Join(
                        Environment.NewLine,
                        expected.Zip(table)
                            .Where(pair => pair.First != pair.Second)
                            .Select(pair => $"- {pair.First}{Environment.NewLine}+ {pair.Second}")));
                    return 1;
                }
            }

            Console.WriteLine(FormattableString.Invariant($"{done} kills, every table equal to that of the study that was left alone"));
            return 0;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>What the process runs that proposes the trials.</summary>
    public static int Caller(string folder)
    {
        string? postgres = Environment.GetEnvironmentVariable(DatabaseVariable);
        SweepTask task = SweepTask.Of(Folders.TinyLlama, rows: 96, validationRows: 24);
        SorsaExperiment experiment = task.Experiment(SorsaSearchSpace.Paper(32))
            .SetMaxModelToExplore(Trials)
            .SetTuner(new TreeParzenTuner(startupTrials: 4))
            .SetMaxConcurrentTrials(2)
            .SetThreadsPerTrial(1)
            .SetDecompositionCache(Path.Combine(folder, "svd"));
        experiment = string.IsNullOrEmpty(postgres)
            ? experiment.SetStudy(Path.Combine(folder, "study.db"))
            : experiment.SetHangfire(postgres, Path.GetFileName(folder));
        using ExperimentResult result = experiment.Run();
        string table = Path.Combine(folder, TableFile);
        File.WriteAllLines(table + ".tmp", result.Trials.Select(Line));
        File.Move(table + ".tmp", table, overwrite: true);
        return 0;
    }

    /// <summary>What a worker process runs.</summary>
    public static int Worker(string folder)
    {
        string postgres = Environment.GetEnvironmentVariable(DatabaseVariable)!;
        var options = new SorsaSweepWorker.Options
        {
            InvisibilityTimeout = TimeSpan.FromSeconds(3),
            CacheFolder = Path.Combine(folder, "svd")
        };
        new SorsaSweepWorker(new MLContext(), postgres, Folders.TinyLlama, options).Run(CancellationToken.None);
        return 0;
    }

    /// <summary>The table of a study that is done.</summary>
    public static string[] Table(string folder) => File.ReadAllLines(Path.Combine(folder, TableFile));

    /// <summary>All of a trial but its duration.</summary>
    private static string Line(TrialResult trial) => string.Create(CultureInfo.InvariantCulture,
        $"{trial.TrialSettings.TrialId} " +
        $"{string.Join(' ', trial.TrialSettings.Parameters.Select(parameter => $"{parameter.Key}={ParameterText.Of(parameter.Value)}"))} " +
        $"{trial.State} {trial.Metric:R} {trial.Orthonormality:R} " +
        $"{string.Join(' ', trial.Curve.Select(point => $"{point.Step}:{point.Loss:R}"))}");

    private static TemporaryServer? Without(string reason)
    {
        Console.WriteLine($"no workers are killed: {reason}");
        return null;
    }

    /// <summary>A PostgreSQL server in a folder that goes with it.</summary>
    private sealed class TemporaryServer : IDisposable
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("sorsa-postgres-").FullName;
        private readonly LocalPostgres _server;

        public TemporaryServer() => _server = LocalPostgres.Start(_folder);

        public string ConnectionString => _server.ConnectionString;

        public void Dispose()
        {
            _server.Dispose();
            Directory.Delete(_folder, recursive: true);
        }
    }
}
