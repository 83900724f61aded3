using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// Prefill and decode in tokens per second: <c>decode [model folder] [new tokens] [rounds] [--device cpu] [--type float32]</c>.
/// Every token comes to the host, so that the device has been waited for.
/// </summary>
internal static class GenerationSpeed
{
    public const int PromptLength = 128;

    public static void Run(string[] args)
    {
        var arguments = new Arguments(
            args, ["model", "new tokens", "rounds"], Arguments.DeviceOption, Arguments.TypeOption);
        string folder = arguments.Text("model") ?? Folders.SmolLM2;
        int newTokens = arguments.Number("new tokens", 33), rounds = arguments.Number("rounds", 5);
        Device device = arguments.Device;
        using var memory = new CardMemory(device);
        using CausalLM model = CausalLM.Load(folder, arguments.TypeOrFloat16, device);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Path.GetFileName(folder)}, {ResultLine.Name(arguments.TypeOrFloat16)}, {device}, {get_num_threads()} threads, prompts of "
            + $"{PromptLength} tokens, {newTokens} new ones, median of {rounds} rounds"));
        foreach (int batch in new[] { 1, 8 })
        {
            (double prefill, double decode) = Median(model, batch, newTokens, rounds);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"batch {batch}: prefill {batch * PromptLength / prefill:F0} tokens/s, "
                + $"decode {batch * (newTokens - 1) / decode:F1} tokens/s"));
            Console.WriteLine(ResultLine.OfDecoding(
                arguments.TypeOrFloat16, new StepShape(batch, newTokens, model.Spec.LayerCount), PromptLength, prefill, decode, memory));
        }
    }

    /// <summary>Seconds until the first token, and for the others; one round more warms up.</summary>
    public static (double Prefill, double Decode) Median(CausalLM model, int batch, int newTokens, int rounds)
    {
        (double Prefill, double Decode)[] times =
            [.. Enumerable.Range(0, rounds + 1).Select(round => Measure(model, batch, newTokens, round)).Skip(1)];
        return (Statistics.Median(times.Select(time => time.Prefill)), Statistics.Median(times.Select(time => time.Decode)));
    }

    /// <summary>Seconds until the first token, and for the others, of one round.</summary>
    public static (double Prefill, double Decode) Measure(
        CausalLM model, int batch, int newTokens, int round, int promptLength = PromptLength)
    {
        TokenGenerator generator = new(
            new CachedModel(model), new GenerationOptions { MaxNewTokens = newTokens, BatchSize = batch }, endTokens: []);
        Random random = new(round);
        GenerationRow[] rows = [.. Enumerable.Range(0, batch).Select(row =>
            generator.CreateRow([.. Enumerable.Range(0, promptLength).Select(_ => random.Next(model.Spec.VocabularySize))], row))];
        Stopwatch watch = Stopwatch.StartNew();
        double prefill = 0;
        foreach (GenerationRow[] _ in generator.Steps(rows, CancellationToken.None))
        {
            prefill = prefill == 0 ? watch.Elapsed.TotalSeconds : prefill;
        }

        return (prefill, watch.Elapsed.TotalSeconds - prefill);
    }
}
