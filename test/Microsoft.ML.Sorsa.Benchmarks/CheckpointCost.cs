using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// What checkpoints cost: <c>checkpoint-cost [model folder] [rounds] [--device cpu] [--type float32] [--rank 16]</c>. Each round trains one
/// step of 1 × 256 tokens and writes one checkpoint, to the temporary folder; the share is that of one checkpoint in 50 steps, by the
/// medians of the wall time. SORSA on every projection.
/// </summary>
internal static class CheckpointCost
{
    private const int Tokens = 256, WarmUp = 2;
    private const double Limit = 0.02;

    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, ["model", "rounds"], Arguments.DeviceOption, Arguments.TypeOption, "rank=");
        string folder = arguments.Text("model") ?? Folders.SmolLM2;
        int rounds = arguments.Number("rounds", 7) + WarmUp, rank = arguments.Number("rank", 16);
        string checkpoints = Directory.CreateTempSubdirectory("sorsa-checkpoint-cost-").FullName;
        try
        {
            using CausalLM model = CausalLM.Load(folder, arguments.Type, arguments.Device);
            string[] targets = [.. model.Projections.Select(slot => slot.Name).Distinct(StringComparer.Ordinal)];
            using Generator generator = new(0);
            string fingerprint = model.Fingerprint;
            AdapterSet adapters = AdapterSet.Inject(model, targets, StepVariant.Sorsa(rank).Create(generator, rounds));
            (List<double> steps, List<double> writes) = Measure(
                model, adapters, fingerprint, checkpoints, rounds, new DeviceClock(arguments.Device));
            double step = Statistics.Median(steps), write = Statistics.Median(writes);
            long size = Directory.GetFiles(Directory.GetDirectories(checkpoints)[0]).Sum(file => new FileInfo(file).Length);
            double share = write / ((CheckpointSettings.DefaultSteps * step) + write);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{Path.GetFileName(folder)}, SORSA r = {rank}, {ResultLine.Name(arguments.Type)}, {arguments.Device}, "
                + $"{get_num_threads()} threads, 1 x {Tokens} tokens, median of {steps.Count} rounds"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"step {step:F0} ms ({steps.Min():F0} to {steps.Max():F0}); checkpoint of {size / 1e6:F1} MB {write:F0} ms "
                + $"({writes.Min():F0} to {writes.Max():F0}); one in {CheckpointSettings.DefaultSteps} steps: {share:P2} "
                + $"(limit {Limit:P0})"));
        }
        finally
        {
            Directory.Delete(checkpoints, recursive: true);
        }
    }

    private static (List<double> Steps, List<double> Writes) Measure(
        CausalLM model, AdapterSet adapters, string fingerprint, string folder, int rounds, DeviceClock clock)
    {
        TrainingSettings settings = new SorsaFineTuningTrainer.Options().ToSettings().Training;
        using var state = new TrainingState(adapters, settings);
        using var checkpoints = new TrainingCheckpoints(
            new CheckpointSettings(folder, int.MaxValue, CheckpointSettings.DefaultKeep, ResumeMode.Auto), int.MaxValue,
            message => throw new InvalidOperationException(message));
        var nothing = new SortedDictionary<string, string>(StringComparer.Ordinal);
        checkpoints.Resume(state, new RunIdentity(nothing, nothing), () => AdapterWeights.ViewOf(adapters, fingerprint));
        var random = new Random(0);
        var row = new SupervisedExample(
            [.. Enumerable.Range(0, Tokens).Select(_ => random.Next(model.Spec.VocabularySize))], PromptLength: 1);
        List<double> steps = [], writes = [];
        double begun = 0;
        new TrainingLoop(model, adapters, settings).Continue(
            state, Rounds(), rounds, validate: null, _ => steps.Add(clock.Now - begun), CancellationToken.None);
        return (steps[WarmUp..], writes[WarmUp..]);

        IEnumerable<IReadOnlyList<IReadOnlyList<SupervisedExample>>> Rounds()
        {
            for (int round = 0; round < rounds; round++)
            {
                begun = clock.Now;
                yield return [[row]];
                begun = clock.Now;
                checkpoints.Write(state);
                writes.Add(clock.Now - begun);
            }
        }
    }
}
