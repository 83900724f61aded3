using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// What an adapter's file costs after its base: <c>adapter [model folder] [rounds] [--device cpu] [--type float32]</c>. SORSA of rank 16
/// on all projections is written once; then each round loads the base, reads the file, and puts the adapter in use (which merges it).
/// Wall time, medians.
/// </summary>
internal static class AdapterSpeed
{
    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, ["model", "rounds"], Arguments.DeviceOption, Arguments.TypeOption);
        string folder = arguments.Text("model") ?? Folders.SmolLM2;
        int rounds = arguments.Number("rounds", 7);
        string file = Path.Combine(Path.GetTempPath(), $"sorsa-adapter-{Environment.ProcessId}");
        try
        {
            double split = Write(folder, file, arguments.Type, arguments.Device);
            var times = new List<(double Base, double Read, double Use)>();
            for (int round = 0; round <= rounds; round++)
            {
                times.Add(Load(folder, file, arguments.Type, arguments.Device));
            }

            long size = Directory.GetFiles(file).Sum(path => new FileInfo(path).Length);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{Path.GetFileName(folder)}, SORSA r = 16 on all projections: {size / 1e6:F1} MB; median of {rounds} rounds, wall time"));
            Print("decomposing the base, once", split);
            Print("base loaded", Statistics.Median(times.Skip(1).Select(time => time.Base)));
            Print("adapter read and compared", Statistics.Median(times.Skip(1).Select(time => time.Read)));
            Print("adapter put in use", Statistics.Median(times.Skip(1).Select(time => time.Use)));
            Print("the last two (limit 1000)", Statistics.Median(times.Skip(1).Select(time => time.Read + time.Use)));
        }
        finally
        {
            if (Directory.Exists(file))
            {
                Directory.Delete(file, recursive: true);
            }
        }
    }

    private static double Write(string folder, string file, ScalarType type, Device device)
    {
        using CausalLM model = CausalLM.Load(folder, type, device);
        using Generator generator = new(0);
        string[] targets = [.. model.Projections.Select(slot => slot.Name).Distinct(StringComparer.Ordinal)];

        // Before an adapter takes a part of a weight.
        string fingerprint = model.Fingerprint;
        var clock = new DeviceClock(device);
        AdapterSet adapters = AdapterSet.Inject(
            model, targets, new SorsaMethod { Rank = 16, Decomposition = Decomposition.Drawn(generator) });
        double split = clock.Now;
        using AdapterWeights weights = AdapterWeights.Of(adapters, fingerprint)!;
        AdapterFolder.Write(weights, file);
        return split;
    }

    private static (double Base, double Read, double Use) Load(string folder, string file, ScalarType type, Device device)
    {
        var clock = new DeviceClock(device);
        using CausalLM model = CausalLM.Load(folder, type, device);
        double loaded = clock.Now;
        using var adapters = new AdapterSwitch(model, model.StoredType);
        adapters.Add("it", AdapterFolder.Read(file), file);
        double read = clock.Now;
        adapters.Use("it");
        return (loaded, read - loaded, clock.Now - read);
    }

    private static void Print(string what, double milliseconds) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-28}{milliseconds,8:F0} ms"));
}
