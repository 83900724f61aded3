using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>Prefill and decode in tokens per second: <c>generation [model folder] [new tokens] [rounds]</c>, float32.</summary>
internal static class GenerationSpeed
{
    private const int PromptLength = 128;

    public static void Run(string[] args)
    {
        string folder = args.Length > 0 ? args[0] : Folders.SmolLM2;
        int newTokens = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 33;
        int rounds = args.Length > 2 ? int.Parse(args[2], CultureInfo.InvariantCulture) : 5;
        using CausalLM model = CausalLM.Load(folder, torch.ScalarType.Float32, torch.CPU);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Path.GetFileName(folder)}, float32, {torch.get_num_threads()} threads, prompts of {PromptLength} tokens, " +
            $"{newTokens} new ones, median of {rounds} rounds"));
        foreach (int batch in new[] { 1, 8 })
        {
            // One round more to warm up.
            (double Prefill, double Decode)[] times = [.. Enumerable.Range(0, rounds + 1)
                .Select(round => Measure(model, batch, newTokens, round))
                .Skip(1)];
            double prefill = batch * PromptLength / Statistics.Median(times.Select(time => time.Prefill)),
                decode = batch * (newTokens - 1) / Statistics.Median(times.Select(time => time.Decode));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"batch {batch}: prefill {prefill:F0} tokens/s, decode {decode:F1} tokens/s"));
        }
    }

    private static (double Prefill, double Decode) Measure(CausalLM model, int batch, int newTokens, int round)
    {
        TokenGenerator generator = new(
            new CachedModel(model), new GenerationOptions { MaxNewTokens = newTokens, BatchSize = batch }, endTokens: []);
        Random random = new(round);
        GenerationRow[] rows = [.. Enumerable.Range(0, batch).Select(row =>
            generator.CreateRow([.. Enumerable.Range(0, PromptLength).Select(_ => random.Next(model.Spec.VocabularySize))], row))];
        Stopwatch watch = Stopwatch.StartNew();
        double prefill = 0;
        foreach (GenerationRow[] _ in generator.Steps(rows, CancellationToken.None))
        {
            prefill = prefill == 0 ? watch.Elapsed.TotalSeconds : prefill;
        }

        return (prefill, watch.Elapsed.TotalSeconds - prefill);
    }
}
