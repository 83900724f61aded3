using TorchSharp;

namespace Microsoft.ML.Sorsa.Mpi;

/// <summary>
/// How many threads a rank computes with: the ranks that may use the same processors share them. Two that each take all of them wait for
/// each other thousands of times a step.
/// </summary>
internal static class RankThreads
{
    /// <summary>The processors that this process may use, as Linux writes them ("0-3,8"); empty where that cannot be told.</summary>
    public static string Processors
    {
        get
        {
            const string Key = "Cpus_allowed_list:", Status = "/proc/self/status";
            return File.Exists(Status) && File.ReadLines(Status).FirstOrDefault(line => line.StartsWith(Key, StringComparison.Ordinal))
                is { } line ? line[Key.Length..].Trim() : "";
        }
    }

    /// <summary>Sets the number of threads, unless the user's environment does.</summary>
    /// <param name="sharing">The ranks that may use the processors of this one, itself among them.</param>
    public static void Share(int sharing)
    {
        string[] users = ["OMP_NUM_THREADS", "MKL_NUM_THREADS"];
        if (sharing > 1 && users.All(name => Environment.GetEnvironmentVariable(name) is null))
        {
            torch.set_num_threads(Math.Max(1, torch.get_num_threads() / sharing));
        }
    }
}
