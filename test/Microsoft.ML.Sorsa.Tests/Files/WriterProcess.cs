extern alias core;

using System.Diagnostics;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Training;
using NewFile = core::Microsoft.ML.Sorsa.Files.NewFile;

namespace Microsoft.ML.Sorsa.Tests.Files;

/// <summary>
/// A process that writes a file or folder, or opens a folder of checkpoints: to be killed in the middle, or to be another user.
/// </summary>
internal sealed class WriterProcess : IDisposable
{
    private const string Argument = "--writer";
    private const string Ready = "ready";

    private readonly Process _process;

    private WriterProcess(string program, IEnumerable<string> arguments) => _process = Process.Start(
        new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;

    private static string Program => Path.Combine(
        AppContext.BaseDirectory,
        typeof(WriterProcess).Assembly.GetName().Name! + (OperatingSystem.IsWindows() ? ".exe" : ""));

    public static bool Is(string[] arguments) => arguments is [Argument, ..];

    /// <summary>The process: writes, says so, and goes on when its input is at its end.</summary>
    public static int Run(string[] arguments)
    {
        try
        {
            if (arguments[1] == "file")
            {
                NewFile.Write(arguments[2], Content);
            }
            else if (arguments[1] == "checkpoints")
            {
                new TrainingCheckpoints(
                    new CheckpointSettings(arguments[2], Steps: 50, Keep: 2, ResumeMode.Auto), stepsPerEpoch: 50, _ => { }).Dispose();
            }
            else
            {
                using var folder = new NewFolder(arguments[2], "folder");
                folder.WriteFile("a", stream => stream.Write("a"u8));
                folder.WriteFile("b", Content);
                folder.Commit();
            }

            return 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            Console.Error.WriteLine($"{e.GetType().Name}: {e.Message}");
            return 1;
        }
    }

    /// <summary>Starts one and returns when it has written half of it.</summary>
    /// <param name="kind">"file", "folder" or "checkpoints".</param>
    /// <param name="path">What it writes.</param>
    public static WriterProcess Start(string kind, string path)
    {
        var writer = new WriterProcess(Program, [Argument, kind, path]);
        Assert.AreEqual(Ready, writer._process.StandardOutput.ReadLine());
        return writer;
    }

    /// <summary>Starts one as the user with the id 65534 and returns when it has ended.</summary>
    /// <returns>Its exit code and what it says of an error.</returns>
    public static (int ExitCode, string Error) RunAsNobody(string kind, string path)
    {
        if (!OperatingSystem.IsLinux() || Environment.UserName != "root" || !File.Exists("/usr/bin/setpriv"))
        {
            Assert.Inconclusive("Only root, with setpriv, can start a process that is another user's.");
        }

        using var writer = new WriterProcess(
            "/usr/bin/setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", Program, Argument, kind, path]);
        writer.GoOn();
        string error = writer._process.StandardError.ReadToEnd();
        writer._process.WaitForExit();
        return (writer._process.ExitCode, error);
    }

    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>Lets it write the rest.</summary>
    public void GoOn()
    {
        _process.StandardInput.Close();
    }

    public int WaitForExit()
    {
        _process.WaitForExit();
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            Kill();
        }

        _process.Dispose();
    }

    private static void Content(Stream stream)
    {
        stream.Write(new byte[10_000]);
        stream.Flush();
        Console.WriteLine(Ready);
        Console.In.ReadToEnd();
        stream.Write(new byte[10_000]);
    }
}
