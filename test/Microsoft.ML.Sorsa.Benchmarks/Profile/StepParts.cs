using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks.Profile;

/// <summary>
/// Where a step goes: native operations and their time by part of the step, forward and backward, of the frozen floor and of each method:
/// <c>parts [model folder] [rounds] [methods...] [--device cpu] [--type float32] [--batch 1] [--tokens 256] [--operations]</c>. An
/// operation counts where a GPU would start a kernel for it: views, allocations and what only calls others do not. On a CPU its time is its
/// own, on one thread; on a GPU it is what the host takes to start it. What is outside of operations is C# code, TorchSharp and libtorch's
/// bookkeeping, the recording among it: a microsecond for each.
/// </summary>
internal static class StepParts
{
    private const int WarmUp = 2;
    private const int MostOperations = 40;
    private const string Floor = "floor";

    public static void Run(string[] args)
    {
        var arguments = new Arguments(
            args, ["model", "rounds", "methods..."], Arguments.DeviceOption, Arguments.TypeOption, "batch=", "tokens=", "operations");
        string folder = arguments.Text("model") ?? Folders.SmolLM2;
        int rounds = arguments.Number("rounds", 5), batch = arguments.Number("batch", 1), tokens = arguments.Number("tokens", 256);
        bool withFloor = arguments.Rest.Count == 0 || arguments.Rest.Contains(Floor, StringComparer.OrdinalIgnoreCase);
        string[] names = [.. arguments.Rest.Where(name => !name.Equals(Floor, StringComparison.OrdinalIgnoreCase))];
        StepVariant[] chosen = names.Length == 0 && arguments.Rest.Count > 0 ? [] : StepVariant.Named(names);
        Device device = arguments.Device;
        if (device.type == DeviceType.CPU)
        {
            set_num_threads(1);
        }

        using CausalLM frozen = CausalLM.Load(folder, arguments.Type, device);
        var random = new Random(0);
        SupervisedExample[] rows = [.. Enumerable.Range(0, batch).Select(_ => new SupervisedExample(
            [.. Enumerable.Range(0, tokens).Select(_ => random.Next(frozen.Spec.VocabularySize))], PromptLength: 1))];
        string run = $"{Path.GetFileName(folder)}, {ResultLine.Name(arguments.Type)}, {device}, {batch} x {tokens} tokens";
        if (withFloor)
        {
            using var record = new PartRecord(frozen);
            Print(Floor, run, record, Time(record, rounds, device, () => StepSpeed.BaseStep(frozen, rows, device)), rounds, arguments);
        }

        foreach (StepVariant variant in chosen)
        {
            using CausalLM model = frozen.Share();
            using Generator generator = new(0);
            string[] targets = variant.Targets.Length > 0
                ? variant.Targets
                : [.. model.Projections.Select(slot => slot.Name).Distinct(StringComparer.Ordinal)];
            AdapterSet adapters = AdapterSet.Inject(model, targets, variant.Create(generator, rounds + WarmUp));
            TrainingSettings settings = new SorsaFineTuningTrainer.Options().ToSettings().Training;
            using (var state = new TrainingState(adapters, settings))
            using (var record = new PartRecord(model))
            {
                double wall = Time(record, rounds, device, () => Step(model, adapters, state, settings, rows, record));
                string rank = variant.Rank is { } number ? FormattableString.Invariant($" r{number}") : "";
                Print(variant.Name + rank, run, record, wall, rounds, arguments);
            }

            adapters.Discard();
        }
    }

    /// <summary>The milliseconds of a step.</summary>
    private static double Time(PartRecord record, int rounds, Device device, Action step)
    {
        using var kept = new KeptMemory();
        var clock = new DeviceClock(device);
        for (int i = 0; i < WarmUp; i++)
        {
            step();
        }

        record.Clear();
        double begun = clock.Now;
        for (int i = 0; i < rounds; i++)
        {
            step();
        }

        return (clock.Now - begun) / rounds;
    }

    /// <summary>The parts in the order that <see cref="TrainingLoop"/> has.</summary>
    private static void Step(
        CausalLM model, AdapterSet adapters, TrainingState state, TrainingSettings settings, SupervisedExample[] rows, PartRecord record)
    {
        using var scope = NewDisposeScope();
        model.train();
        var regularizer = new OrthonormalityRegularizer(adapters.OrthonormalFactors, adapters.Penalty?.Mean ?? true);
        record.Part = StepPart.Embedding;
        using Batch batch = Batch.Of(rows, settings.PadTokenId, model.Device);
        adapters.WriteWeights();
        Tensor loss = SupervisedLoss.Backward(model, batch, 1.0 / batch.LabelCount, settings.LogitsChunkSize);
        adapters.CollectGradients();
        record.Part = StepPart.Penalty;
        OrthonormalityRegularizer.Deviations? deviations = adapters.Penalty is null ? null : regularizer.Look();
        record.Part = StepPart.Clipping;
        Tensor norm = GradientClipping.Norm(state.Trained.Select(named => named.Value));
        double length = TensorValues.Read(loss, norm, deviations?.Value ?? loss)[1];
        GradientClipping.Clip(state.Trained.Select(named => named.Value), length, settings.MaxGradNorm ?? double.PositiveInfinity);
        record.Part = StepPart.Penalty;
        deviations?.AddGradient(adapters.Penalty!.InLoss ? adapters.Penalty.Weight : adapters.Penalty.Weight / settings.LearningRate);
        record.Part = StepPart.Optimizer;
        state.Optimizer.Step(settings.LearningRate);
        adapters.AfterStep(state.Step);
        state.Optimizer.ZeroGrad();
        state.Step++;
        state.Optimizer.Prepare(state.Step);
    }

    private static void Print(string name, string run, PartRecord record, double wall, int rounds, Arguments arguments)
    {
        Console.WriteLine($"{name}, {run}, mean of {rounds} steps");
        Console.WriteLine("part                      forward     ms  backward     ms  host waits");
        PartCount[] counts = [.. Enum.GetValues<StepPart>().Select(record.Of)];
        foreach ((StepPart part, PartCount count) in Enum.GetValues<StepPart>().Zip(counts).Where(pair => pair.Second.IsUsed))
        {
            Line(Name(part), count);
        }

        Line("all", counts.Aggregate((a, b) => a.Plus(b)));
        double inside = counts.Sum(count => count.ForwardMilliseconds + count.BackwardMilliseconds) / rounds;
        Console.WriteLine(
            Text($"step {wall:F1} ms, outside of operations {wall - inside:F1} ms, nodes in C# {record.ManagedNodes / rounds}"));
        if (arguments.Has("operations"))
        {
            foreach ((string operation, StepPart part, int count, double time) in
                record.Operations.OrderByDescending(one => one.Milliseconds).Take(MostOperations))
            {
                Console.WriteLine(Text($"  {operation,-44} {Name(part),-24} {(double)count / rounds,8:F0} {time / rounds,9:F2} ms"));
            }
        }

        Console.WriteLine();

        void Line(string label, PartCount count) => Console.WriteLine(Text(
            $"{label,-24}{count.Forward / rounds,9}{count.ForwardMilliseconds / rounds,7:F1}{count.Backward / rounds,10}")
            + Text($"{count.BackwardMilliseconds / rounds,7:F1}{count.Waits / rounds,12}"));
    }

    private static string Name(StepPart part) => part switch
    {
        StepPart.Rotary => "heads and rotary turn",
        StepPart.Head => "head and loss",
        StepPart.Gradients => "sums of gradients",
        _ => part.ToString().ToLowerInvariant(),
    };

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
