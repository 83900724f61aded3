using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Tests.Persistence;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// What a process holds that loads and disposes eight times, in megabytes resident after each: <c>service [model folder] [kinds...]</c>, by
/// default a model of 24 million random weights in float32. Each kind is a process of its own.
/// </summary>
internal static class ServiceMemory
{
    public const string RoundsVerb = "service-rounds";

    public static int Run(string[] args)
    {
        string folder = Directory.CreateTempSubdirectory("sorsa-service-").FullName;
        try
        {
            string model = args.Length > 0 ? args[0] : Path.Combine(folder, "model");
            if (args.Length == 0)
            {
                ServiceRounds.WriteModel(Folders.TinyLlama, model);
            }

            foreach (string kind in args.Length > 1 ? args[1..] : ServiceRounds.Kinds)
            {
                string work = Directory.CreateDirectory(Path.Combine(folder, kind)).FullName;
                using Process process = Process.Start(Environment.ProcessPath!, [RoundsVerb, kind, model, work]);
                process.WaitForExit();
                if (process.ExitCode != 0)
                {
                    return process.ExitCode;
                }
            }

            return 0;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    public static int Rounds(string kind, string model, string work)
    {
        var clock = Stopwatch.StartNew();
        double[] resident = [.. ServiceRounds.Run(kind, model, work)];
        string after = string.Join(" ", resident.Select(megabytes => megabytes.ToString("F0", CultureInfo.InvariantCulture).PadLeft(5)));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{kind,-22}{after}   last / first {resident[^1] / resident[0]:F2}   {clock.Elapsed.TotalSeconds:F1} s"));
        return 0;
    }
}
