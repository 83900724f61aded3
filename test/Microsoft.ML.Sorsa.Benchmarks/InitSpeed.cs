using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// What the start of SORSA and PiSSA takes: <c>init [rank] [rounds] [--device cpu] [--type float32] [--hidden 4096] [--intermediate 11008]
/// [--layers 32] [--exact]</c>. The leading triplets of a layer's seven matrices, of random numbers with a decaying spectrum on top; by
/// block Krylov iteration and by subspace iteration, of which the first is used on a CPU, the second on a card. Matrices in bfloat16 are
/// made float32 first, as in training, which counts. With --exact the energy of each over that of the exact decomposition. Wall time,
/// medians, and what all layers take.
/// </summary>
internal static class InitSpeed
{
    public static void Run(string[] args)
    {
        var arguments = new Arguments(
            args, ["rank", "rounds"],
            Arguments.DeviceOption, Arguments.TypeOption, "hidden=", "intermediate=", "layers=", "exact");
        int rank = arguments.Number("rank", 128), rounds = arguments.Number("rounds", 3), layers = arguments.Number("layers", 32);
        int hidden = arguments.Number("hidden", 4096), intermediate = arguments.Number("intermediate", 11008);
        Device device = arguments.Device;
        string type = ResultLine.Name(arguments.Type);
        Console.WriteLine($"r = {rank}, {type}, {device}, {get_num_threads()} threads, median of {rounds} rounds, wall time");
        (string Name, int Rows, int Columns, int Count)[] shapes =
            [("q, k, v, o", hidden, hidden, 4), ("gate, up", intermediate, hidden, 2), ("down", hidden, intermediate, 1)];
        double krylov = 0, iterated = 0;
        foreach ((string name, int rows, int columns, int count) in shapes)
        {
            using Tensor weight = Weight(rows, columns, arguments.Type, device);
            double exact = arguments.Has("exact") ? Energy(TruncatedSvd.Exact(Wide(weight), rank)) : double.NaN;
            (double first, double firstEnergy) = Measure(
                device, rounds, generator => TruncatedSvd.Krylov(Wide(weight), rank, generator));
            (double second, double secondEnergy) = Measure(
                device, rounds, generator => TruncatedSvd.Iterated(Wide(weight), rank, generator));
            krylov += first * count * layers;
            iterated += second * count * layers;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{name,-12}[{rows}, {columns}]: Krylov {first:F1} ms, energy {firstEnergy / exact:F6}; ")
                + string.Create(CultureInfo.InvariantCulture, $"subspace {second:F1} ms, energy {secondEnergy / exact:F6}"));
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{7 * layers} matrices: Krylov {krylov / 1e3:F1} s, subspace {iterated / 1e3:F1} s"));
    }

    private static (double Milliseconds, double Energy) Measure(
        Device device, int rounds, Func<Generator, (Tensor U, Tensor S, Tensor Vt)> decompose)
    {
        var clock = new DeviceClock(device);
        var times = new List<double>();
        double energy = 0;
        for (int round = 0; round <= rounds; round++)
        {
            using var scope = NewDisposeScope();
            using var generator = new Generator(0);
            double start = clock.Now;
            (Tensor U, Tensor S, Tensor Vt) triplets = decompose(generator);
            times.Add(clock.Now - start);
            energy = Energy(triplets);
        }

        return (Statistics.Median(times.Skip(1)), energy);
    }

    /// <summary>Itself where it is float32.</summary>
    private static Tensor Wide(Tensor weight) => weight.to(AdapterStart.TypeFor(weight));

    private static double Energy((Tensor U, Tensor S, Tensor Vt) triplets)
    {
        using var scope = NewDisposeScope();
        return triplets.S.to(ScalarType.Float64).square().sum().item<double>();
    }

    /// <summary>Noise, as most of a trained matrix looks, with 64 directions above it that fall as 1 / √i.</summary>
    private static Tensor Weight(int rows, int columns, ScalarType type, Device device)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        double edge = Math.Sqrt(rows) + Math.Sqrt(columns);
        Tensor noise = randn([rows, columns], ScalarType.Float32, CPU, generator: generator).to(device);
        Tensor left = linalg.qr(randn([rows, 64], ScalarType.Float32, CPU, generator: generator)).Q.to(device);
        Tensor right = linalg.qr(randn([columns, 64], ScalarType.Float32, CPU, generator: generator)).Q.to(device);
        float[] strong = [.. Enumerable.Range(0, 64).Select(i => (float)(4 * edge / Math.Sqrt(i + 1)))];
        return scope.MoveToOuter((noise + (left * tensor(strong, device: device)).mm(right.t())).to(type));
    }
}
