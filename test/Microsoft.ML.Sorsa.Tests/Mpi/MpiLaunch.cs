using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Tests.Mpi;

/// <summary>Starts <see cref="MpiProcess"/> several times, with one of the launchers.</summary>
internal static class MpiLaunch
{
    /// <summary>What a rank that ends may take with it, at most: the issue's own limit.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    /// <summary>After it a rank, and whatever started it, is ended: what hangs fails its test and no more.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    /// <summary>So close are the losses of other numbers of ranks.</summary>
    public const double Close = 1e-6;

    /// <summary>What is started.</summary>
    public static string Program => Path.Combine(AppContext.BaseDirectory, typeof(MpiLaunch).Assembly.GetName().Name!);

    /// <summary>Starts so many of them, on this machine.</summary>
    public static Process Start(int ranks, string folder, params string[] arguments) => Start("mpirun", ranks, folder, arguments);

    /// <param name="launcher">mpirun, or another name of one.</param>
    /// <param name="ranks">How many.</param>
    /// <param name="folder">For their results.</param>
    /// <param name="arguments">See <see cref="MpiProcess.Run"/>.</param>
    public static Process Start(string launcher, int ranks, string folder, params string[] arguments)
    {
        string[] openMpi = launcher == "mpirun.openmpi" || (launcher == "mpirun" && IsOpenMpi.Value)
            ? ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"] : [];
        var start = new ProcessStartInfo(
            launcher,
            [.. openMpi, "-n", ranks.ToString(CultureInfo.InvariantCulture), Program, MpiProcess.Argument, folder, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // Open MPI gives the first rank a terminal, and wakes it before it ends it: .NET then writes a terminal's codes between the lines.
        start.Environment["TERM"] = "dumb";
        return Watched(start);
    }

    /// <summary>Starts a program, with what it starts, for <see cref="Longest"/> at most.</summary>
    public static Process Watched(ProcessStartInfo start)
    {
        Process process = Process.Start(start)!;
        int id = process.Id;
        var watch = new Timer(_ => KillAll(id), null, Longest, Timeout.InfiniteTimeSpan);
        process.EnableRaisingEvents = true;
        process.Exited += (_, _) => watch.Dispose();
        return process;
    }

    /// <summary>By its number: a test that failed may have disposed of its object, and left it running.</summary>
    private static void KillAll(int id)
    {
        foreach (Process left in Process.GetProcesses().Where(one => one.Id == id))
        {
            left.Kill(entireProcessTree: true);
        }
    }

    /// <summary>Starts them and waits for their end.</summary>
    public static (int ExitCode, string Errors, RankResult[] Results) Train(int ranks, params string[] arguments)
    {
        using var folder = new TemporaryFolder();
        using Process process = Start(ranks, folder.Path, arguments);
        return End(process, folder.Path);
    }

    /// <summary>Waits for the end of what was started. Once a rank has said its last, the others take no longer than the limit.</summary>
    public static (int ExitCode, string Errors, RankResult[] Results) End(Process process, string folder)
    {
        Task<string> errors = process.StandardError.ReadToEndAsync();
        _ = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        foreach (string result in Directory.GetFiles(folder, "rank-*.json"))
        {
            Assert.IsLessThan(Limit, process.ExitTime.ToUniversalTime() - File.GetLastWriteTimeUtc(result));
        }

        return (process.ExitCode, errors.Result, [.. Results(folder)]);
    }

    /// <summary>By rank, of those that came to their end.</summary>
    public static IEnumerable<RankResult> Results(string folder) => Directory.GetFiles(folder, "rank-*.json")
        .Select(file => JsonSerializer.Deserialize<RankResult>(File.ReadAllText(file))!)
        .OrderBy(result => result.Rank);

    /// <summary>Skips the test where there is no mpirun.</summary>
    public static void RequireMpi()
    {
        if (!OperatingSystem.IsLinux() || !Path.Exists(Find("mpirun")))
        {
            Assert.Inconclusive("There is no mpirun (Debian: apt-get install openmpi-bin).");
        }
    }

    private static readonly Lazy<bool> IsOpenMpi = new(() =>
    {
        using Process version = Process.Start(new ProcessStartInfo("mpirun", ["--version"]) { RedirectStandardOutput = true })!;
        return version.StandardOutput.ReadToEnd().Contains("Open MPI", StringComparison.Ordinal);
    });

    /// <summary>The program of that name; null: none.</summary>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Select(folder => Path.Combine(folder, program))
        .FirstOrDefault(File.Exists);

    /// <summary>Results by rank of a training that must come to its end.</summary>
    public static RankResult[] Trained(int ranks, params string[] arguments)
    {
        (int exitCode, string errors, RankResult[] results) = Train(ranks, arguments);
        Assert.AreEqual(0, exitCode, errors + string.Concat(results.Select(result => result.Error)));
        Assert.HasCount(ranks, results);
        return results;
    }

    /// <summary>Losses of other numbers of ranks.</summary>
    public static void AreClose(double[] expected, double[] actual)
    {
        Assert.HasCount(expected.Length, actual);
        foreach ((double one, double other) in expected.Zip(actual))
        {
            Assert.AreEqual(one, other, Close);
        }
    }
}
