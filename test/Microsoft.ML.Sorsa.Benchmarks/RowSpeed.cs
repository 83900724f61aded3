using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// What is computed of a model without libtorch on a CPU, forward and backward, and by libtorch's operations: what lies between its
/// products, and those of a type that the processor does not multiply: <c>rows [rounds] [--type float32|bfloat16|float16]
/// [--tokens 256] [--hidden 576] [--heads 9] [--key-heads 3] [--head-dim 64] [--vocabulary 49152] [--threads 1]</c>. Interleaved, the
/// caches filled with other values in between, wall time, medians.
/// </summary>
internal static class RowSpeed
{
    public static void Run(string[] args)
    {
        var arguments = new Arguments(
            args, ["rounds"], "type=", "tokens=", "hidden=", "heads=", "key-heads=", "head-dim=", "vocabulary=",
            "threads=");
        int rounds = arguments.Number("rounds", 40), threads = arguments.Number("threads", 1), tokens = arguments.Number("tokens", 256);
        int heads = arguments.Number("heads", 9), keyHeads = arguments.Number("key-heads", 3), width = arguments.Number("head-dim", 64);
        ScalarType type = arguments.TypeOrFloat16;
        using var scope = NewDisposeScope();
        set_num_threads(threads);
        using var kept = new KeptMemory();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{type}, {tokens} tokens, {threads} threads, median of {rounds} rounds, wall time, forward and backward"));

        Tensor weight = randn(arguments.Number("hidden", 576)).to(type);
        if (ProductType.Of(type, onCpu: true) != type)
        {
            Tensor square = randn(weight.size(0), weight.size(0)).to(type);
            Measure("projection", [Values(weight.size(0))],
                x => WideLinear.Apply(x[0], square, null), x => nn.functional.linear(x[0], square));
        }

        if (!TensorData.IsReadable(type, onCpu: true))
        {
            return;
        }

        Measure("norm", [Values(weight.size(0))],
            x => RmsNormFunction.Apply(x[0], weight, 1e-5),
            x =>
            {
                Tensor wide = x[0].to(ScalarType.Float32);
                return (wide * ((wide * wide).mean([-1], keepdim: true) + 1e-5).rsqrt()).to(type) * weight;
            });
        Tensor angles = randn(1, tokens, 1, width / 2);
        Tensor cos = cat([angles.cos(), angles.cos()], -1).to(type), sin = cat([-angles.sin(), angles.sin()], -1).to(type);
        Measure("rotary turn", [Values(heads, width)],
            x => RotationFunction.Apply(x[0], cos, sin),
            x => (x[0] * cos).addcmul(x[0].roll(width / 2, -1), sin, 1).transpose(1, 2));
        int vocabulary = arguments.Number("vocabulary", 49152);
        Tensor targets = randint(0, vocabulary, [tokens], ScalarType.Int64);
        Measure("loss", [Values(vocabulary)[0]],
            x => CrossEntropyFunction.Apply(x[0], targets),
            x => nn.functional.cross_entropy(x[0].to(ScalarType.Float32), targets, reduction: nn.Reduction.None));
        bool isWide = CausalAttention.Fits(Heads(heads), Heads(keyHeads), Heads(keyHeads), null);
        if (isWide || NarrowAttention.Fits(Heads(heads), Heads(keyHeads), Heads(keyHeads), null))
        {
            Measure("attention", [Heads(heads), Heads(keyHeads), Heads(keyHeads)],
                x => isWide ? CausalAttention.Apply(x[0], x[1], x[2]) : NarrowAttention.Apply(x[0], x[1], x[2], null),
                x => nn.functional.scaled_dot_product_attention(x[0], Repeated(x[1]), Repeated(x[2]), null, is_casual: true));
        }

        Tensor Values(params long[] sizes) => randn([1, tokens, .. sizes]).to(type);

        Tensor Heads(int count) => randn(1, count, tokens, width).to(type);

        Tensor Repeated(Tensor x) => x.repeat_interleave(heads / keyHeads, 1);

        void Measure(string name, Tensor[] inputs, Func<Tensor[], Tensor> byRows, Func<Tensor[], Tensor> byOperations)
        {
            var cold = new byte[2 << 20];
            var ours = new List<double>();
            var libtorchs = new List<double>();
            using Tensor gradient = byRows(inputs);
            for (int round = 0; round < rounds; round++)
            {
                ours.Add(Time(byRows));
                libtorchs.Add(Time(byOperations));
            }

            (double own, double other) = (Statistics.Median(ours), Statistics.Median(libtorchs));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {name,-14} {own,8:F3} ms, libtorch {other,8:F3} ms, {other / own:F2} times as fast"));

            double Time(Func<Tensor[], Tensor> compute)
            {
                using var call = NewDisposeScope();
                Tensor[] leaves = [.. inputs.Select(input => input.detach().requires_grad_())];
                Random.Shared.NextBytes(cold);
                long start = Stopwatch.GetTimestamp();
                using var pass = new BackwardPass();
                pass.Run(compute(leaves), gradient);
                return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
        }
    }
}
