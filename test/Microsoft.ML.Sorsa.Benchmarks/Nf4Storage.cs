using System.Globalization;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// What a base in NF4 costs and saves: <c>nf4 [model folder] [rank] [--device cpu] [--type float32]</c>. Bytes per parameter of the
/// projections; ‖W − start‖ / ‖W‖ of plain NF4, of NF4 beside SORSA's leading triplets, and after five rounds of both; the time of
/// quantising a weight, of reading it, and of reading it over that of the linear map with it (256 tokens, one thread, wall time, medians).
/// </summary>
internal static class Nf4Storage
{
    private const int Tokens = 256;
    private const int Rounds = 5;
    private const int Repetitions = 5;

    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, ["model", "rank"], Arguments.DeviceOption, Arguments.TypeOption);
        string folder = arguments.Text("model") ?? Folders.TinyLlama;
        int rank = arguments.Number("rank", 16);
        var clock = new DeviceClock(arguments.Device);
        set_num_threads(1);
        using CausalLM model = CausalLM.Load(folder, arguments.Type, arguments.Device);
        (long bytes, long parameters) = (0, 0);
        var errors = new List<QuantizationError>();
        var plain = new List<double>();
        var ratios = new List<double>();
        var times = new List<(double Quantised, double Read)>();
        foreach (ProjectionSlot slot in model.Projections)
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            using Generator generator = new(0);
            Tensor weight = ((Linear)slot.Module).weight;
            errors.Add(PrincipalSplit.Quantized(weight, new TripletSlice(0, rank), 1, Rounds, Decomposition.Drawn(generator)).Error!);
            using var quantized = new Nf4Weight(weight);
            plain.Add(QuantizationError.Relative(weight, quantized, product: null));
            bytes += quantized.Size;
            parameters += weight.numel();
            ratios.Add(Ratio(weight, quantized, clock));
            times.Add((
                PerValue(weight, () => new Nf4Weight(weight), clock), PerValue(weight, () => quantized.Dense(weight.dtype), clock)));
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Path.GetFileName(folder)}, {errors.Count} projections, {parameters:N0} parameters, r = {rank}"));
        Print("bytes per parameter (float32 4, bfloat16 2)", (double)bytes / parameters, "F3");
        Print("error of plain NF4", Statistics.Median(plain), "F4");
        Print("error beside the leading triplets", Statistics.Median(errors.Select(error => error.Residual!.Value)), "F4");
        Print(string.Create(CultureInfo.InvariantCulture, $"error after {Rounds} rounds of both"),
            Statistics.Median(errors.Select(error => error.Initial)), "F4");
        Print("quantising, ns a value", Statistics.Median(times.Select(time => time.Quantised)), "F2");
        Print("reading, ns a value", Statistics.Median(times.Select(time => time.Read)), "F2");
        Print("reading the weight / linear map with it", Statistics.Median(ratios), "F2");
    }

    private static double PerValue(Tensor weight, Func<IDisposable> make, DeviceClock clock)
    {
        var times = new List<double>();
        for (int i = 0; i <= Repetitions; i++)
        {
            double start = clock.Now;
            using (make())
            {
                times.Add(clock.Now - start);
            }
        }

        return Statistics.Median(times.Skip(1)) * 1e6 / weight.numel();
    }

    private static double Ratio(Tensor weight, Nf4Weight quantized, DeviceClock clock)
    {
        Tensor x = randn(Tokens, weight.shape[1]).to(weight.dtype, weight.device);
        var ratios = new List<double>();
        for (int i = 0; i <= Repetitions; i++)
        {
            double start = clock.Now;
            using (quantized.Dense(weight.dtype))
            {
            }

            double read = clock.Now;
            using (nn.functional.linear(x, weight))
            {
            }

            ratios.Add((read - start) / (clock.Now - read));
        }

        return Statistics.Median(ratios.Skip(1));
    }

    private static void Print(string what, double value, string format) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{what,-46}{value.ToString(format, CultureInfo.InvariantCulture),8}"));
}
