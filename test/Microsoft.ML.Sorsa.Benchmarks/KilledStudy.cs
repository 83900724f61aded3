using System.Data.Common;
using System.Diagnostics;
using System.Reflection;
using Microsoft.Data.Sqlite;
using Npgsql;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>A study in processes of its own: a caller, and with a server two workers. Whoever is killed is started again at once.</summary>
/// <param name="folder">Of the study; its name is the study's.</param>
/// <param name="server">The database; null: a study in a file, run by the caller.</param>
/// <param name="random">Decides who is killed, and when.</param>
internal sealed class KilledStudy(string folder, string? server, Random random)
{
    private const int WorkerCount = 2;

    private readonly Dictionary<int, double> _finished = [];

    /// <summary>Some of the kills fall before the first trial, while the model is loaded.</summary>
    private static readonly (double Least, double Most) s_secondsBetween = (0.3, 4);

    /// <summary>Runs it to its end.</summary>
    /// <param name="kills">At most so many.</param>
    public (string[] Table, int CallersKilled, int WorkersKilled) Run(int kills)
    {
        Directory.CreateDirectory(folder);
        string[][] verbs = server is null
            ? [[SweepKills.CallerVerb, folder]]
            :
            [
                [SweepKills.CallerVerb, folder],
                .. Enumerable.Repeat<string[]>([SweepKills.WorkerVerb, folder], WorkerCount),
            ];
        Process[] processes = [.. verbs.Select(Start)];
        int callers = 0, workers = 0;
        try
        {
            while (true)
            {
                bool kill = callers + workers < kills;
                TimeSpan pause = kill
                    ? TimeSpan.FromSeconds(s_secondsBetween.Least + random.NextDouble() * (s_secondsBetween.Most - s_secondsBetween.Least))
                    : Timeout.InfiniteTimeSpan;
                if (processes[0].WaitForExit(pause))
                {
                    RequireUnchanged();
                    return processes[0].ExitCode == 0
                        ? (SweepKills.Table(folder), callers, workers)
                        : throw new InvalidOperationException($"The study ended with exit code {processes[0].ExitCode}.");
                }

                int victim = random.Next(processes.Length);
                if (processes[victim].HasExited)
                {
                    throw new InvalidOperationException($"A worker ended by itself, with exit code {processes[victim].ExitCode}.");
                }

                End(processes[victim]);
                RequireUnchanged();
                processes[victim] = Start(verbs[victim]);
                callers += victim == 0 ? 1 : 0;
                workers += victim == 0 ? 0 : 1;
            }
        }
        finally
        {
            foreach (Process process in processes)
            {
                End(process);
            }
        }
    }

    /// <summary>A trial that was finished is not run again: another run would have taken another time.</summary>
    private void RequireUnchanged()
    {
        using DbConnection? connection = server is not null
            ? new NpgsqlConnection(server)
            : File.Exists(Path.Combine(folder, "study.db"))
                ? new SqliteConnection($"Data Source={Path.Combine(folder, "study.db")};Pooling=False")
                : null;
        if (connection is null)
        {
            return;
        }

        connection.Open();
        using DbCommand command = connection.CreateCommand();
        string study = server is null ? "study" : Path.GetFileName(folder);
        command.CommandText = $"SELECT trial, milliseconds FROM sorsa_trial WHERE study = '{study}' AND state <> 'Running'";
        try
        {
            using DbDataReader rows = command.ExecuteReader();
            while (rows.Read())
            {
                int trial = rows.GetInt32(0);
                if (!_finished.TryAdd(trial, rows.GetDouble(1)) && _finished[trial] != rows.GetDouble(1))
                {
                    throw new InvalidOperationException($"Trial {trial} was finished and has run again.");
                }
            }
        }
        catch (DbException) when (_finished.Count == 0)
        {
            // Killed before its tables were made.
        }
    }

    private static void End(Process process)
    {
        process.Kill();
        process.WaitForExit();
        process.Dispose();
    }

    private Process Start(string[] arguments)
    {
        string program = Environment.ProcessPath!;
        string[] host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [Assembly.GetExecutingAssembly().Location] : [];
        var start = new ProcessStartInfo(program, [.. host, .. arguments]);

        // Its password belongs into no command line.
        start.Environment[SweepKills.DatabaseVariable] = server;
        return Process.Start(start)!;
    }
}
