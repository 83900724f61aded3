using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// Kills studies of 16 short trials (SIGKILL) at random moments and runs them again, until they are done: the table at the end must be that of a study that was left
/// alone. Ends with an error where it is not.
/// </summary>
internal static class SweepKills
{
    public const string CallerVerb = "kills-caller";

    private const int Trials = 16;

    /// <summary>Some of the kills fall before the first trial, while the model is loaded.</summary>
    private static readonly (double Least, double Most) s_secondsAlive = (0.3, 5);

    public static int Run(string[] args)
    {
        int kills = int.Parse(args.ElementAtOrDefault(0) ?? "200", CultureInfo.InvariantCulture);
        string folder = Directory.CreateTempSubdirectory("sorsa-kills-").FullName;
        try
        {
            var clock = Stopwatch.StartNew();
            string[] expected = Study(Path.Combine(folder, "alone"), new Random(0), most: 0).Table;
            Console.WriteLine(FormattableString.Invariant($"left alone: {expected.Length} trials in {clock.Elapsed.TotalSeconds:F0} s"));
            int done = 0, studies = 0;
            while (done < kills)
            {
                (string[] table, int killed) = Study(Path.Combine(folder, $"study-{++studies}"), new Random(studies), Math.Min(kills - done, 25));
                done += killed;
                bool equal = table.SequenceEqual(expected);
                Console.WriteLine(FormattableString.Invariant($"study {studies}: {killed} kills, {table.Length} trials, table {(equal ? "equal" : "DIFFERS")}; {done} kills in {clock.Elapsed.TotalSeconds:F0} s"));
                if (!equal)
                {
                    Console.WriteLine(string.Join(Environment.NewLine, expected.Zip(table).Where(pair => pair.First != pair.Second).Select(pair => $"- {pair.First}{Environment.NewLine}+ {pair.Second}")));
                    return 1;
                }
            }

            return 0;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>What the process that is killed runs.</summary>
    public static int Caller(string[] args)
    {
        string folder = args[0];
        SweepTask task = SweepTask.Of(Places.TinyLlama, rows: 96, validationRows: 24);
        using ExperimentResult result = task.Experiment(SorsaSearchSpace.Paper(32)).SetMaxModelToExplore(Trials).SetTuner(new TreeParzenTuner(startupTrials: 4)).SetMaxConcurrentTrials(2)
            .SetStudy(Path.Combine(folder, "study.db")).Run();
        string table = Path.Combine(folder, "table.txt");
        File.WriteAllLines(table + ".tmp", result.Trials.Select(Line));
        File.Move(table + ".tmp", table);
        return 0;
    }

    private static (string[] Table, int Killed) Study(string folder, Random random, int most)
    {
        Directory.CreateDirectory(folder);
        int killed = 0;
        while (true)
        {
            using Process caller = Start(CallerVerb, folder);
            TimeSpan alive = killed < most ? TimeSpan.FromSeconds(s_secondsAlive.Least + random.NextDouble() * (s_secondsAlive.Most - s_secondsAlive.Least)) : Timeout.InfiniteTimeSpan;
            if (!caller.WaitForExit(alive))
            {
                caller.Kill();
                caller.WaitForExit();
                killed++;
            }
            else if (caller.ExitCode != 0)
            {
                throw new InvalidOperationException($"The study ended with exit code {caller.ExitCode}.");
            }
            else
            {
                return (File.ReadAllLines(Path.Combine(folder, "table.txt")), killed);
            }
        }
    }

    private static Process Start(params string[] arguments)
    {
        string program = Environment.ProcessPath!;
        string[] host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [Assembly.GetExecutingAssembly().Location] : [];
        return Process.Start(new ProcessStartInfo(program, [.. host, .. arguments]))!;
    }

    /// <summary>All of a trial but its duration.</summary>
    private static string Line(TrialResult trial) => string.Create(CultureInfo.InvariantCulture,
        $"{trial.TrialSettings.TrialId} {string.Join(' ', trial.TrialSettings.Parameters.Select(parameter => $"{parameter.Key}={ParameterText.Of(parameter.Value)}"))} {trial.State} {trial.Metric:R} {trial.Orthonormality:R} {string.Join(' ', trial.Curve.Select(point => $"{point.Step}:{point.Loss:R}"))}");
}
