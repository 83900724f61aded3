using System.Diagnostics;
using System.Globalization;
using System.Reflection;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// QuickStart's training alone and beside four processes that compute without end: <c>contention [rows] [rounds]</c>. Each training is a
/// process of its own, since libtorch reads once how its threads wait. The machine should have nothing else to do; its load at the start
/// is printed.
/// </summary>
internal static class Contention
{
    public const string TrainVerb = "contention-train";
    public const string BusyVerb = "contention-busy";

    private const int BusyProcesses = 4;
    private const double Aim = 5;
    private const int DefaultRows = 2000;
    private const int DefaultRounds = 3;

    public static int Run(string[] args)
    {
        var arguments = new Arguments(args, ["rows", "rounds"]);
        int rows = arguments.Number("rows", DefaultRows);
        int rounds = arguments.Number("rounds", DefaultRounds);
        if (OperatingSystem.IsLinux())
        {
            Console.WriteLine($"load at the start: {File.ReadAllText("/proc/loadavg").Split(' ')[0]}");
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{rows} rows, {Environment.ProcessorCount} processors"));
        var alone = new List<double>();
        var beside = new List<double>();
        for (int round = 1; round <= rounds; round++)
        {
            alone.Add(TrainingTime(rows));
            beside.Add(TimeBesideBusyProcesses(rows));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"round {round}: alone {alone[^1]:F1} s, beside {BusyProcesses} busy processes {beside[^1]:F1} s"));
        }

        (double quiet, double busy) = (Statistics.Median(alone), Statistics.Median(beside));
        double ratio = busy / quiet;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"medians: alone {quiet:F1} s, beside {BusyProcesses} busy processes {busy:F1} s, {ratio:F2} times (aim {Aim})"));
        return ratio <= Aim ? 0 : 1;
    }

    /// <summary>What a training process does: trains and prints the seconds of it.</summary>
    public static int Train(string rows)
    {
        var mlContext = new MLContext();
        IDataView data = mlContext.Data.LoadFromEnumerable(TrainingBits.QuickStartRows(int.Parse(rows, CultureInfo.InvariantCulture)));
        SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(TrainingBits.QuickStartOptions());
        var clock = Stopwatch.StartNew();
        trainer.Fit(data).Dispose();
        Console.WriteLine(clock.Elapsed.TotalSeconds.ToString("R", CultureInfo.InvariantCulture));
        return 0;
    }

    /// <summary>What a busy process does, until whoever started it is gone.</summary>
    public static int Busy()
    {
        var busy = new Thread(Compute) { IsBackground = true };
        busy.Start();
        Console.In.ReadToEnd();
        return 0;

        static void Compute()
        {
            while (true)
            {
            }
        }
    }

    private static double TimeBesideBusyProcesses(int rows)
    {
        var busy = new List<Process>();
        try
        {
            for (int i = 0; i < BusyProcesses; i++)
            {
                busy.Add(Start(BusyVerb));
            }

            return TrainingTime(rows);
        }
        finally
        {
            foreach (Process process in busy)
            {
                process.Kill();
                process.WaitForExit();
                process.Dispose();
            }
        }
    }

    private static double TrainingTime(int rows)
    {
        using Process process = Start(TrainVerb, rows.ToString(CultureInfo.InvariantCulture));
        string seconds = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? double.Parse(seconds, CultureInfo.InvariantCulture)
            : throw new InvalidOperationException($"The training ended with exit code {process.ExitCode}.");
    }

    private static Process Start(params string[] arguments)
    {
        string program = Environment.ProcessPath!;
        string[] host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [Assembly.GetExecutingAssembly().Location] : [];
        var start = new ProcessStartInfo(program, [.. host, .. arguments]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        return Process.Start(start)!;
    }
}
