using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML.Sorsa.Tensors;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>How libtorch's threads wait and how many they are, seen from a process that has only asked for the catalog.</summary>
[TestClass]
[TestCategory("Training")]
public sealed class ThreadSettingsTests
{
    private const string Argument = "--thread-settings";
    private const string Unset = "unset";

    private static readonly string[] s_variables = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS", "MKL_NUM_THREADS"];

    private static string Spin => OpenMPSettings.SpinCount.ToString(CultureInfo.InvariantCulture);

    public static bool Is(string[] arguments) => arguments is [Argument];

    [TestMethod]
    public void AWaitingThreadSleepsSoonWhereTheUserSaysNothing()
    {
        Settings settings = SettingsOf([]);

        Assert.AreEqual(Spin, settings.Native["GOMP_SPINCOUNT"]);
        Assert.AreEqual(Spin, settings.SpinCountOfOpenMP, "What libgomp itself displays.");
        Assert.AreEqual(Unset, settings.Native["OMP_WAIT_POLICY"]);
    }

    [TestMethod]
    [DataRow("GOMP_SPINCOUNT", "77", "77")]
    [DataRow("OMP_WAIT_POLICY", "PASSIVE", Unset)]
    [DataRow("OMP_WAIT_POLICY", "ACTIVE", Unset)]
    public void WhatTheUserSaysOfWaitingStays(string name, string value, string spinCount)
    {
        Settings settings = SettingsOf([(name, value)]);

        Assert.AreEqual(value, settings.Native[name]);
        Assert.AreEqual(spinCount, settings.Native["GOMP_SPINCOUNT"]);
    }

    /// <summary>The variable stands for a container's share: .NET takes it in place of what it counts.</summary>
    [TestMethod]
    public void ThereAreAsManyThreadsAsDotNetSeesProcessors()
    {
        Settings settings = SettingsOf([("DOTNET_PROCESSOR_COUNT", "1")]);

        Assert.AreEqual(1, settings.Processors);
        Assert.AreEqual(1, settings.Threads);
    }

    [TestMethod]
    [DataRow("OMP_NUM_THREADS", "2", "2")]
    [DataRow("MKL_NUM_THREADS", "2", Unset)]
    public void WhatTheUserSaysOfThreadsStays(string name, string value, string threads)
    {
        Settings settings = SettingsOf([(name, value), ("DOTNET_PROCESSOR_COUNT", "1")]);

        Assert.AreEqual(1, settings.Processors);
        Assert.AreEqual(value, settings.Native[name]);
        Assert.AreEqual(threads, settings.Native["OMP_NUM_THREADS"]);
    }

    /// <summary>Every processor is ours: libtorch counts as it always did.</summary>
    [TestMethod]
    public void WithEveryProcessorNothingIsSaidOfThreads()
    {
        Settings settings = SettingsOf([("DOTNET_PROCESSOR_COUNT", "1024")]);

        Assert.AreEqual(Unset, settings.Native["OMP_NUM_THREADS"]);
    }

    /// <summary>What the process does.</summary>
    public static void Run()
    {
        _ = new MLContext().Sorsa();
        foreach (string variable in s_variables)
        {
            Console.WriteLine($"{variable}={Marshal.PtrToStringUTF8(NativeVariable(Encoding.UTF8.GetBytes(variable + "\0"))) ?? Unset}");
        }

        Console.WriteLine($"threads={get_num_threads()}");
        Console.WriteLine($"processors={Environment.ProcessorCount}");
    }

    private static Settings SettingsOf((string Name, string Value)[] variables)
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Inconclusive("Nothing is set on this system.");
        }

        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Microsoft.ML.Sorsa.Tests"), [Argument])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string name in s_variables)
        {
            start.Environment.Remove(name);
        }

        start.Environment["OMP_DISPLAY_ENV"] = "verbose";
        foreach ((string name, string value) in variables)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        Task<string> displayed = process.StandardError.ReadToEndAsync();
        string[] printed = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Dictionary<string, string> lines = printed.Select(line => line.Split("=")).ToDictionary(pair => pair[0], pair => pair[1]);
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, displayed.Result);
        string? spin = displayed.Result.Split('\n').FirstOrDefault(line => line.Contains("GOMP_SPINCOUNT", StringComparison.Ordinal));
        return new Settings(lines, spin?.Split("'")[1], Number("threads"), Number("processors"));

        int Number(string name) => int.Parse(lines[name], CultureInfo.InvariantCulture);
    }

    /// <summary>A variable as native code sees it.</summary>
    [DllImport("libc.so.6", EntryPoint = "getenv")]
    private static extern nint NativeVariable(byte[] name);

    private sealed record Settings(IReadOnlyDictionary<string, string> Native, string? SpinCountOfOpenMP, int Threads, int Processors);
}
