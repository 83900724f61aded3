using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Weights;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// What one look at a training costs: <c>analysis [model folder] [rounds] [--device cpu]</c>. All projections are adapted (partial
/// fine-tuning), moved by noise of a hundredth of their size, and compared with what they were: W_0 and W_t are decomposed, and the update.
/// Beside it, what the general routine of LAPACK takes for the three decompositions of one layer, times the layers.
/// </summary>
internal static class AnalysisSpeed
{
    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, ["model", "rounds"], Arguments.DeviceOption);
        string folder = arguments.Text("model") ?? Folders.SmolLM2;
        using CausalLM model = CausalLM.Load(folder, ScalarType.Float32, arguments.Device);
        string[] targets = [.. model.Projections.Select(slot => slot.Name).Distinct(StringComparer.Ordinal)];
        AdapterSet adapters = AdapterSet.Inject(model, targets, new WeightMethod { Everything = false });
        Move(adapters);
        int matrices = adapters.Adapters.Count();
        Console.WriteLine($"{Path.GetFileName(folder)}, {matrices} matrices, {get_num_threads()} threads");

        var analysis = new AdapterAnalysis(adapters, new AnalysisOptions(), Console.WriteLine);
        for (int round = 0; round < arguments.Number("rounds", 2); round++)
        {
            Print("one step", Measure(() => analysis.Measure(1, [], CancellationToken.None)));
        }

        string layer = adapters.Adapters.First().Key;
        layer = layer[..(layer.IndexOf(".0.", StringComparison.Ordinal) + 3)];
        Adapter[] first =
        [
            .. adapters.Adapters.Where(named => named.Key.StartsWith(layer, StringComparison.Ordinal)).Select(named => named.Value),
        ];
        (double wall, double user) = Measure(() => Array.ForEach(first, General));
        double layers = (double)matrices / first.Length;
        Print("the same by linalg.svd", (wall * layers, user * layers));
    }

    private static void Move(AdapterSet adapters)
    {
        using var noGrad = no_grad();
        using var generator = new Generator(0);
        foreach ((_, TorchSharp.Modules.Parameter weight) in adapters.Trainable)
        {
            using var scope = NewDisposeScope();
            double size = weight.detach().std().item<float>();
            weight.Accumulate(randn(weight.shape, ScalarType.Float32, generator: generator).to(weight.device).Scale(0.01 * size));
        }
    }

    private static void General(Adapter adapter)
    {
        using var scope = NewDisposeScope();
        Tensor before = adapter.InitialWeight().to(ScalarType.Float64), after = adapter.MergedWeight().to(ScalarType.Float64);
        linalg.svd(before, fullMatrices: false);
        linalg.svd(after, fullMatrices: false);
        linalg.svdvals(after - before);
    }

    private static (double Wall, double User) Measure(Action act)
    {
        using var process = Process.GetCurrentProcess();
        TimeSpan before = process.UserProcessorTime;
        var clock = Stopwatch.StartNew();
        act();
        process.Refresh();
        return (clock.Elapsed.TotalSeconds, (process.UserProcessorTime - before).TotalSeconds);
    }

    private static void Print(string what, (double Wall, double User) time) => Console.WriteLine(
        string.Create(CultureInfo.InvariantCulture, $"{what,-26}{time.Wall,8:F1} s wall {time.User,8:F1} s user"));
}
