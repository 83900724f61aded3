using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// An adapter's own products in a training step on a CPU, in float32, by <see cref="TallSkinnyProduct"/> and by libtorch:
/// <c>products [rank] [rounds] [--hidden 576] [--intermediate 1536] [--tokens 256] [--threads 1]</c>. Interleaved, the caches filled with
/// other values in between, wall time, medians.
/// </summary>
internal static class ProductSpeed
{
    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, ["rank", "rounds"], "hidden=", "intermediate=", "tokens=", "threads=");
        int rank = arguments.Number("rank", 16), rounds = arguments.Number("rounds", 40), threads = arguments.Number("threads", 1);
        int hidden = arguments.Number("hidden", 576), intermediate = arguments.Number("intermediate", 1536);
        int tokens = arguments.Number("tokens", 256);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        if (!TallSkinnyProduct.Fits(zeros(1), rank, hidden, intermediate))
        {
            throw new ArgumentException(
                $"Rank {rank} with {hidden} and {intermediate} is left to libtorch: multiples of 16 are not, with ranks up to 64.",
                nameof(args));
        }

        set_num_threads(threads);
        Console.WriteLine($"r = {rank}, {tokens} tokens, {threads} threads, median of {rounds} rounds, wall time");
        (int In, int Out)[] shapes = [(hidden, hidden), (hidden, intermediate), (intermediate, hidden)];
        foreach ((int inputs, int outputs) in shapes)
        {
            using var shape = NewDisposeScope();
            Tensor x = randn(tokens, inputs), dy = randn(tokens, outputs), a = randn(rank, inputs), b = randn(outputs, rank);
            Tensor h = randn(tokens, rank), p = randn(tokens, rank);
            Console.WriteLine($"{inputs} -> {outputs}");
            Measure("h = x Aᵀ", x, a.t());
            Measure("p = dY B", dy, b);
            Measure("dB = (hᵀ dY)ᵀ", h.t(), dy);
            Measure("dA = pᵀ x", p.t(), x);
        }

        void Measure(string name, Tensor left, Tensor right)
        {
            var cold = new byte[2 << 20];
            var ours = new List<double>();
            var libtorchs = new List<double>();
            for (int round = 0; round < rounds; round++)
            {
                ours.Add(Time(() => TallSkinnyProduct.Compute(left, right)));
                libtorchs.Add(Time(() => left.mm(right)));
            }

            (double own, double other) = (Statistics.Median(ours), Statistics.Median(libtorchs));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {name,-14} {own,8:F3} ms, libtorch {other,8:F3} ms, {other / own:F2} times as fast"));

            double Time(Func<Tensor> compute)
            {
                Random.Shared.NextBytes(cold);
                long start = Stopwatch.GetTimestamp();
                compute().Dispose();
                return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
        }
    }
}
