using System.Diagnostics;
using System.Reflection;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>A study in processes of its own: a caller, and with a server two workers. Whoever is killed is started again at once.</summary>
/// <param name="folder">Of the study; its name is the study's.</param>
/// <param name="server">The database; null: a study in a file, run by the caller.</param>
/// <param name="random">Decides who is killed, and when.</param>
internal sealed class KilledStudy(string folder, string? server, Random random)
{
    private const int WorkerCount = 2;

    /// <summary>Some of the kills fall before the first trial, while the model is loaded.</summary>
    private static readonly (double Least, double Most) s_secondsBetween = (0.3, 4);

    /// <summary>Runs it to its end.</summary>
    /// <param name="kills">At most so many.</param>
    public (string[] Table, int CallersKilled, int WorkersKilled) Run(int kills)
    {
        Directory.CreateDirectory(folder);
        string[][] verbs = server is null ? [[SweepKills.CallerVerb, folder]] : [[SweepKills.CallerVerb, folder, server], .. Enumerable.Repeat<string[]>([SweepKills.WorkerVerb, folder, server], WorkerCount)];
        Process[] processes = [.. verbs.Select(Start)];
        int callers = 0, workers = 0;
        try
        {
            while (true)
            {
                bool kill = callers + workers < kills;
                TimeSpan pause = kill ? TimeSpan.FromSeconds(s_secondsBetween.Least + random.NextDouble() * (s_secondsBetween.Most - s_secondsBetween.Least)) : Timeout.InfiniteTimeSpan;
                if (processes[0].WaitForExit(pause))
                {
                    return processes[0].ExitCode == 0 ? (SweepKills.Table(folder), callers, workers) : throw new InvalidOperationException($"The study ended with exit code {processes[0].ExitCode}.");
                }

                int victim = random.Next(processes.Length);
                End(processes[victim]);
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

    private static void End(Process process)
    {
        process.Kill();
        process.WaitForExit();
        process.Dispose();
    }

    private static Process Start(string[] arguments)
    {
        string program = Environment.ProcessPath!;
        string[] host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [Assembly.GetExecutingAssembly().Location] : [];
        return Process.Start(new ProcessStartInfo(program, [.. host, .. arguments]))!;
    }
}
