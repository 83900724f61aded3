using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// Resident memory, live tensors and the card's used memory while training: <c>memory [model folder] [steps] [--device cpu]
/// [--type float32]</c>, the bundled model and 300 steps by default. Rows of random length, so that no two steps ask for the same memory.
/// </summary>
internal static class TrainingMemory
{
    private const int Rows = 8;

    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, ["model", "steps"], Arguments.DeviceOption, Arguments.TypeOption);
        string folder = arguments.Text("model") ?? Folders.TinyLlama;
        int steps = arguments.Number("steps", 300);
        using var memory = new CardMemory(arguments.Device);
        using CausalLM model = CausalLM.Load(folder, arguments.Type, arguments.Device);
        using Generator generator = new(0);
        string[] targets = [.. model.Projections.Select(slot => slot.Name).Distinct(StringComparer.Ordinal)];
        AdapterSet adapters = AdapterSet.Inject(
            model, targets, new SorsaMethod { Rank = 16, Gamma = 4e-4, Decomposition = Decomposition.Drawn(generator) });
        Console.WriteLine(
            $"{Path.GetFileName(folder)}, {ResultLine.Name(arguments.Type)}, {arguments.Device}, {Rows} rows of 20 to 120 tokens a step");
        Console.WriteLine("step   resident MB   live tensors   card MB");
        new TrainingLoop(model, adapters, new SorsaFineTuningTrainer.Options().ToSettings().Training).Run(
            Batches(), steps, validate: null, Report, CancellationToken.None);

        IEnumerable<IReadOnlyList<IReadOnlyList<SupervisedExample>>> Batches()
        {
            Random random = new(0);
            for (int step = 0; step < steps; step++)
            {
                yield return [[.. Enumerable.Range(0, Rows).Select(_ => new SupervisedExample(
                    [.. Enumerable.Range(0, random.Next(20, 120)).Select(_ => random.Next(model.Spec.VocabularySize))],
                    PromptLength: 10))]];
            }
        }

        void Report(SorsaTrainingProgress progress)
        {
            if (progress.Step % Math.Max(1, steps / 6) == 0)
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{progress.Step,4}{Environment.WorkingSet / 1e6,14:F0}{Tensor.TotalCount,15}{memory.PeakMB,10:F0}"));
            }
        }
    }
}
