using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// One whole step of the training loop (forward with loss, backward, clipping, regularizer, AdamW, what the method does after it, zeroing)
/// over the frozen base model's forward with loss and backward to the embedded input: <c>step [model folder] [rounds] [methods...]</c>.
/// Processor time of the process, one torch thread, float32, one row of 256 tokens; each round times base and method and gives a ratio.
/// </summary>
internal static class StepSpeed
{
    private const int Tokens = 256;

    public static void Run(string[] args)
    {
        string folder = args.Length > 0 ? args[0] : Folders.SmolLM2;
        int rounds = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 7;
        set_num_threads(1);
        using CausalLM frozen = CausalLM.Load(folder, ScalarType.Float32, CPU);
        Random random = new(0);
        SupervisedExample row = new(
            [.. Enumerable.Range(0, Tokens).Select(_ => random.Next(frozen.Spec.VocabularySize))], PromptLength: 1);
        Console.WriteLine(
            $"{Path.GetFileName(folder)}, float32, 1 x {Tokens} tokens, one thread, processor time, median of {rounds} interleaved rounds");
        Console.WriteLine("method     rank   base ms   step ms   ratio (min to max)      limit");
        foreach (StepVariant variant in Chosen(args.Length > 2 ? args[2..] : []))
        {
            Print(variant, Measure(frozen, folder, row, variant, rounds));
        }
    }

    private static IEnumerable<StepVariant> Chosen(string[] names)
    {
        string[] unknown = [.. names.Where(name => !StepVariant.All.Any(variant => IsNamed(variant, name)))];
        return unknown.Length == 0
            ? StepVariant.All.Where(variant => names.Length == 0 || names.Any(name => IsNamed(variant, name)))
            : throw new ArgumentException(
                $"There is no method {string.Join(", ", unknown)}; name some of " +
                $"{string.Join(", ", StepVariant.All.Select(variant => variant.Name).Distinct())}.", nameof(names));

        static bool IsNamed(StepVariant variant, string name) => variant.Name.Equals(name, StringComparison.OrdinalIgnoreCase);
    }

    private static List<(double Base, double Step)> Measure(
        CausalLM frozen, string folder, SupervisedExample row, StepVariant variant, int rounds)
    {
        using CausalLM model = CausalLM.Load(folder, ScalarType.Float32, CPU);
        using Generator generator = new(0);
        string[] targets = variant.Targets.Length > 0
            ? variant.Targets
            : [.. model.Projections.Select(slot => slot.Name).Distinct(StringComparer.Ordinal)];
        AdapterSet adapters = AdapterSet.Inject(model, targets, variant.Create(generator, rounds + 2));
        var times = new List<(double Base, double Step)>();
        double baseTime = 0, start = 0;

        // The first two rounds warm up; the loop's first step moves nothing but costs the same.
        new TrainingLoop(model, adapters, new SorsaFineTuningTrainer.Options().ToSettings().Training).Run(
            Rounds(), rounds + 2, validate: null, _ => times.Add((baseTime, Now() - start)), CancellationToken.None);
        return times[2..];

        IEnumerable<IReadOnlyList<IReadOnlyList<SupervisedExample>>> Rounds()
        {
            for (int round = 0; round < rounds + 2; round++)
            {
                start = Now();
                BaseStep(frozen, row);
                baseTime = Now() - start;
                start = Now();
                yield return [[row]];
            }
        }
    }

    private static void BaseStep(CausalLM model, SupervisedExample row)
    {
        using var scope = NewDisposeScope();
        using Batch batch = Batch.Of([row], padTokenId: 0, CPU);
        Tensor embedded = model.Embed(batch.InputIds).detach().requires_grad_();
        Tensor logits = model.Head(model.Forward(embedded).flatten(0, 1).index_select(0, batch.LabelPositions));
        (SupervisedLoss.Sum(logits, batch.Targets) / batch.LabelCount).backward();
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

    private static double Now() => Process.GetCurrentProcess().TotalProcessorTime.TotalMilliseconds;
}
