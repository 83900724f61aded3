using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace ReproducePaper;

/// <summary>
/// This program once more, as <c>ReproducePaper train folder run</c>: its result is a line of JSON. A process that has trained nothing
/// before has this run's memory alone, and a fault in one ends none of the others.
/// </summary>
internal static class RunProcess
{
    public static RunResult Start(StudyFolder folder, Run run, int threads, CancellationToken cancellationToken)
    {
        // "dotnet ReproducePaper.dll" or the program itself, whichever this process is.
        string program = Environment.ProcessPath!;
        string[] host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [typeof(RunProcess).Assembly.Location] : [];
        string[] arguments = [.. host, "train", folder.PathOf(""), JsonSerializer.Serialize(run, StudyFolder.Json)];
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["OMP_NUM_THREADS"] = threads.ToString(CultureInfo.InvariantCulture) },
        })!;
        using CancellationTokenRegistration stop = cancellationToken.Register(() => process.Kill(entireProcessTree: true));
        Task<string> errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        cancellationToken.ThrowIfCancellationRequested();
        return process.ExitCode == 0
            ? JsonSerializer.Deserialize<RunResult>(output, StudyFolder.Json)!
            : throw new InvalidOperationException(
                $"{run.Kind} run of {run.Method}, seed {run.Seed}: {errors.Result.Trim()} (exit code {process.ExitCode})");
    }

    /// <summary>What the other process does; it ends with the one that started it, whose end closes its input.</summary>
    public static int Answer(string folder, string run)
    {
        new Thread(EndWithParent) { IsBackground = true }.Start();
        RunResult result = TrainingRun.Do(StudyFolder.Read(folder).Settings, JsonSerializer.Deserialize<Run>(run, StudyFolder.Json)!);
        Console.WriteLine(JsonSerializer.Serialize(result, StudyFolder.Json));
        return 0;
    }

    private static void EndWithParent()
    {
        while (Console.In.Read() >= 0)
        {
        }

        Environment.Exit(1);
    }
}
