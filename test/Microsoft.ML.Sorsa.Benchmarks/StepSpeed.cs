using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// One whole step of the training loop (forward with loss, backward, clipping, regularizer, AdamW, what the method does after it, zeroing)
/// over the frozen base model's forward with loss and backward to the embedded input: <c>step [model folder] [rounds] [methods...]
/// [--device cpu] [--type float32] [--batch 1] [--tokens 256] [--threads 1]</c>. With one thread on the CPU processor time of the process,
/// otherwise wall time; each round times base and method and gives a ratio.
/// </summary>
internal static class StepSpeed
{
    private const int WarmUp = 2;

    public static void Run(string[] args)
    {
        var arguments = new Arguments(
            args, ["model", "rounds", "methods..."], Arguments.DeviceOption, Arguments.TypeOption, "batch=", "tokens=", "threads=");
        string folder = arguments.Text("model") ?? Folders.SmolLM2;
        int rounds = arguments.Number("rounds", 7), batch = arguments.Number("batch", 1), tokens = arguments.Number("tokens", 256);
        StepVariant[] chosen = StepVariant.Named([.. arguments.Rest]);
        Device device = arguments.Device;
        int threads = arguments.Number("threads", 1);
        if (device.type == DeviceType.CPU)
        {
            set_num_threads(threads);
        }
        else if (threads > 1)
        {
            throw new ArgumentException($"'--threads {threads}' is for a CPU; the device is {device}. Leave it out.", nameof(args));
        }

        bool isProcessorTime = device.type == DeviceType.CPU && threads == 1;
        using CausalLM frozen = CausalLM.Load(folder, arguments.Type, device);
        using var memory = new CardMemory(device);
        Random random = new(0);
        SupervisedExample[] rows = [.. Enumerable.Range(0, batch).Select(_ => new SupervisedExample(
            [.. Enumerable.Range(0, tokens).Select(_ => random.Next(frozen.Spec.VocabularySize))], PromptLength: 1))];
        string type = ResultLine.Name(arguments.Type), time = isProcessorTime ? "one thread, processor time"
            : device.type == DeviceType.CPU ? $"{threads} threads, wall time" : "wall time";
        Console.WriteLine(
            $"{Path.GetFileName(folder)}, {type}, {device}, {batch} x {tokens} tokens, {time}, median of {rounds} interleaved rounds");
        Console.WriteLine("method     rank   base ms   step ms   ratio (min to max)      limit");
        foreach (StepVariant variant in chosen)
        {
            memory.Reset();
            StepTimes times = Measure(frozen, folder, rows, variant, rounds, arguments.Type, device, isProcessorTime);
            Print(variant, times.Pairs);
            string rank = variant.Rank is { } number ? $" r{number}" : "";
            Console.WriteLine(ResultLine.Of(
                $"{variant.Name}{rank} {type}", new StepShape(batch, tokens, frozen.Spec.LayerCount),
                [.. times.Pairs.Select(pair => pair.Step)], memory, times.Loss, times.Parameters));
        }
    }

    private static StepTimes Measure(
        CausalLM frozen, string folder, SupervisedExample[] rows, StepVariant variant, int rounds, ScalarType type, Device device,
        bool isProcessorTime)
    {
        using CausalLM model = CausalLM.Load(folder, type, device);
        using Generator generator = new(0);
        var clock = new DeviceClock(device);
        Func<double> now = isProcessorTime ? ProcessorTime : () => clock.Now;
        string[] targets = variant.Targets.Length > 0
            ? variant.Targets
            : [.. model.Projections.Select(slot => slot.Name).Distinct(StringComparer.Ordinal)];
        AdapterSet adapters = AdapterSet.Inject(model, targets, variant.Create(generator, rounds + WarmUp));
        var times = new List<(double Base, double Step)>();
        double baseTime = 0, start = 0, loss = 0;

        // The first rounds warm up; the loop's first step moves nothing but costs the same.
        new TrainingLoop(model, adapters, new SorsaFineTuningTrainer.Options().ToSettings().Training).Run(
            Rounds(), rounds + WarmUp, validate: null,
            progress =>
            {
                times.Add((baseTime, now() - start));
                loss = progress.Loss;
            },
            CancellationToken.None);
        return new StepTimes(times[WarmUp..], loss, adapters.Trainable.Sum(named => named.Value.numel()));

        IEnumerable<IReadOnlyList<IReadOnlyList<SupervisedExample>>> Rounds()
        {
            for (int round = 0; round < rounds + WarmUp; round++)
            {
                start = now();
                BaseStep(frozen, rows, device);
                baseTime = now() - start;
                start = now();
                yield return [rows];
            }
        }
    }

    /// <summary>The frozen model's forward with loss, and backward to the embedded input; gives the loss.</summary>
    public static double BaseStep(CausalLM model, SupervisedExample[] rows, Device device)
    {
        using var scope = NewDisposeScope();
        using Batch batch = Batch.Of(rows, padTokenId: 0, device);
        using var pass = new BackwardPass();
        Tensor embedded = model.Embed(batch.InputIds).detach().requires_grad_();
        Tensor logits = model.Head(model.Forward(embedded).flatten(0, 1).index_select(0, batch.LabelPositions));
        Tensor loss = SupervisedLoss.Sum(logits, batch.Targets).Times(1.0 / batch.LabelCount);
        pass.Run(loss, ones_like(loss));
        return loss.item<double>();
    }

    private static void Print(StepVariant variant, List<(double Base, double Step)> times)
    {
        double[] ratios = [.. times.Select(time => time.Step / time.Base).Order()];
        string spread = string.Create(CultureInfo.InvariantCulture,
            $"{Statistics.Median(ratios),8:F2} ({ratios[0]:F2} to {ratios[^1]:F2})");
        string limit = variant.Limit is { } most ? string.Create(CultureInfo.InvariantCulture, $"limit {most:F2}") : "";
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{variant.Name,-8}{variant.Rank?.ToString(CultureInfo.InvariantCulture) ?? "-",7}" +
            $"{Statistics.Median(times.Select(time => time.Base)),10:F0}{Statistics.Median(times.Select(time => time.Step)),10:F0}" +
            $"{spread,-26}{limit}").TrimEnd());
    }

    private static double ProcessorTime() => Environment.CpuUsage.TotalTime.TotalMilliseconds;

    /// <summary>What came of one method.</summary>
    private sealed record StepTimes(List<(double Base, double Step)> Pairs, double Loss, long Parameters);
}
