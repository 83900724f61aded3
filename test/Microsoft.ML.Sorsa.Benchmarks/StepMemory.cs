using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tests.Memory;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// What gradient checkpointing and the loss in chunks cost in time and save of memory: <c>checkpointing [model folder] [rounds]</c>.
/// SORSA of rank 16 on four rows of 256 tokens, float32, one torch thread; each round times one step of each variant, processor time, over
/// the same step without checkpointing and with the whole loss at once. Memory is the most of tensors that are alive, above what lies there
/// before the step.
/// </summary>
internal static class StepMemory
{
    private const int Rows = 4, Tokens = 256;

    private static readonly (string Name, bool Checkpointing, int ChunkSize)[] s_variants =
    [
        ("neither", false, int.MaxValue),
        ("loss in chunks of 512", false, 512),
        ("loss in chunks of 128", false, 128),
        ("checkpointing and chunks of 512", true, 512),
    ];

    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, ["model", "rounds"]);
        string folder = arguments.Text("model") ?? Folders.SmolLM2;
        int rounds = arguments.Number("rounds", 7);
        set_num_threads(1);
        Variant[] variants = [.. s_variants.Select(variant => new Variant(folder, rounds + 1, variant.Checkpointing, variant.ChunkSize))];
        var random = new Random(0);
        SupervisedExample[] rows = [.. Enumerable.Range(0, Rows).Select(_ => new SupervisedExample(
            [.. Enumerable.Range(0, Tokens).Select(_ => random.Next(variants[0].VocabularySize))], PromptLength: 1))];
        var measured = variants.Select(_ => new List<(double Milliseconds, double Megabytes)>()).ToArray();
        using var kept = new KeptMemory();
        using var memory = new AllocatedMemory();

        // The first round warms up.
        for (int round = 0; round <= rounds; round++)
        {
            for (int i = 0; i < variants.Length; i++)
            {
                measured[i].Add(variants[i].Step(rows));
            }
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Path.GetFileName(folder)}, SORSA r 16, float32, {Rows} x {Tokens} tokens, one thread, "
            + $"medians of {rounds} interleaved rounds"));
        Console.WriteLine("variant                              step ms   ratio (min to max)     peak MB");
        for (int i = 0; i < variants.Length; i++)
        {
            double[] ratios = [.. measured[i].Zip(measured[0], (own, plain) => own.Milliseconds / plain.Milliseconds).Skip(1).Order()];
            string ratio = string.Create(CultureInfo.InvariantCulture,
                $"{Statistics.Median(ratios):F2} ({ratios[0]:F2} to {ratios[^1]:F2})");
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{s_variants[i].Name,-33}{Statistics.Median(measured[i].Skip(1).Select(one => one.Milliseconds)),11:F0}   {ratio,-20}"
                + $"{Statistics.Median(measured[i].Skip(1).Select(one => one.Megabytes)),10:F0}"));
            variants[i].Dispose();
        }
    }

    private sealed class Variant : IDisposable
    {
        private readonly CausalLM _model;
        private readonly TrainingState _state;
        private readonly TrainingLoop _loop;
        private readonly int _totalSteps;

        public Variant(string folder, int totalSteps, bool checkpointing, int chunkSize)
        {
            using Generator generator = new(0);
            _totalSteps = totalSteps;
            _model = CausalLM.Load(folder, ScalarType.Float32, CPU);
            AdapterSet adapters = AdapterSet.Inject(
                _model, [.. _model.Projections.Select(slot => slot.Name).Distinct(StringComparer.Ordinal)],
                new SorsaMethod { Rank = 16, Gamma = 4e-4, Decomposition = Decomposition.Drawn(generator) });
            TrainingSettings settings = new SorsaFineTuningTrainer.Options { LogitsChunkSize = chunkSize }.ToSettings().Training;
            _model.GradientCheckpointing = checkpointing;
            _state = new TrainingState(adapters, settings);
            _loop = new TrainingLoop(_model, adapters, settings);
        }

        public int VocabularySize => _model.Spec.VocabularySize;

        public (double Milliseconds, double Megabytes) Step(SupervisedExample[] rows)
        {
            AllocatedMemory.ForgetPeak();
            long before = AllocatedMemory.Now;
            double start = Environment.CpuUsage.TotalTime.TotalMilliseconds;
            _loop.Continue(_state, [[rows]], _totalSteps, validate: null, _ => { }, CancellationToken.None);
            double time = Environment.CpuUsage.TotalTime.TotalMilliseconds - start;
            return (time, (AllocatedMemory.Peak - before) / 1e6);
        }

        public void Dispose()
        {
            _state.Dispose();
            _model.Dispose();
        }
    }
}
