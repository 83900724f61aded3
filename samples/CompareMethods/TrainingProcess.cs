using System.Diagnostics;
using System.Text.Json;

namespace CompareMethods;

/// <summary>
/// This program once more, as <c>CompareMethods train request</c>: the run as JSON goes in, its result as a line of JSON comes out. It
/// computes on one thread, so that its time tells the method's work, and several can run side by side.
/// </summary>
internal static class TrainingProcess
{
    public static RunResult Start(RunRequest request)
    {
        // "dotnet CompareMethods.dll" or the program itself, whichever this process is.
        string program = Environment.ProcessPath!;
        string[] host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [typeof(TrainingProcess).Assembly.Location] : [];
        using Process process = Process.Start(new ProcessStartInfo(program, [.. host, "train", JsonSerializer.Serialize(request)])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["OMP_NUM_THREADS"] = "1" },
        })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? JsonSerializer.Deserialize<RunResult>(output)!
            : throw new InvalidOperationException(
                $"{request.Method}, seed {request.Seed}: {errors.Result.Trim()} (exit code {process.ExitCode})");
    }

    /// <summary>What the other process does.</summary>
    public static int Answer(string request)
    {
        Console.WriteLine(JsonSerializer.Serialize(TrainOneRun.Run(JsonSerializer.Deserialize<RunRequest>(request)!)));
        return 0;
    }
}
