using System.Diagnostics;
using System.Globalization;

namespace CompareMethods;

/// <summary>The most memory that this process has had resident, in bytes.</summary>
internal static class PeakMemory
{
    private const string Label = "VmHWM:";

    public static long Read()
    {
        // On Linux .NET gives the present value in place of the peak.
        if (OperatingSystem.IsLinux())
        {
            string line = File.ReadLines("/proc/self/status").First(line => line.StartsWith(Label, StringComparison.Ordinal));
            return 1024 * long.Parse(
                line[Label.Length..].Replace("kB", "", StringComparison.Ordinal), NumberStyles.Integer, CultureInfo.InvariantCulture);
        }

        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }
}
