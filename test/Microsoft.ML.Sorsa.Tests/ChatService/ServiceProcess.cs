using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tests.ChatService;

/// <summary>The sample as a user runs it, on a port that is free; ended with this.</summary>
internal sealed partial class ServiceProcess : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    /// <summary>Built once, when the first test runs it.</summary>
    private static readonly Lazy<string> s_program = new(() =>
    {
        string sample = Path.Combine(TestData.Root, "samples", "ChatService");
        string configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        using Process build = Start("build", sample, "-c", configuration, "-v", "q");
        string output = build.StandardOutput.ReadToEnd();
        build.WaitForExit();
        Assert.AreEqual(0, build.ExitCode, output);
        return Path.Combine(sample, "bin", configuration, "net10.0", "ChatService.dll");
    });

    private readonly Process _process;
    private readonly StringBuilder _output = new();

    /// <param name="arguments">Beside --url.</param>
    public ServiceProcess(params string[] arguments)
    {
        _process = Start([s_program.Value, "--url", "http://127.0.0.1:0", .. arguments]);
        var address = new TaskCompletionSource<string>();
        _process.OutputDataReceived += (_, line) => Read(line.Data);
        _process.ErrorDataReceived += (_, line) => Read(line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        Address = address.Task.WaitAsync(s_patience).GetAwaiter().GetResult();

        void Read(string? line)
        {
            lock (_output)
            {
                _output.AppendLine(line);
                if (line is null)
                {
                    address.TrySetException(new InvalidOperationException($"The service ended: {_output}"));
                }
                else if (Listening.Match(line) is { Success: true } match)
                {
                    address.TrySetResult(match.Value);
                }
            }
        }
    }

    /// <summary>http://127.0.0.1:PORT.</summary>
    public string Address { get; }

    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    [GeneratedRegex(@"http://127\.0\.0\.1:\d+")]
    private static partial Regex Listening { get; }

    /// <summary>A run that ends by itself: exit code and what it said on both streams.</summary>
    public static (int Code, string Output) Run(params string[] arguments)
    {
        using Process process = Start([s_program.Value, .. arguments]);
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        Assert.IsTrue(process.WaitForExit(s_patience));
        return (process.ExitCode, output + errors.Result);
    }

    public void Dispose()
    {
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }

    private static Process Start(params string[] arguments) => Process.Start(
        new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
}
