using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// How fast texts become ids, on one core: the questions and answers of GSM8K's training set, row by row and as one string, in megabytes
/// of UTF-8 per second of processor time (so that other programs' load does not count), median of several rounds. The first round row by
/// row is given apart: it fills the cache of words.
/// </summary>
internal static class TokenizerSpeed
{
    private const int Rounds = 7;

    /// <param name="args">The folder that holds data/, models/ and tokenizers/; by default "shared" beside the solution's folder.</param>
    public static void Run(string[] args)
    {
        string shared = new Arguments(args, ["shared"]).Text("shared") ?? Folders.Shared;
        string[] rows = [.. File.ReadLines(Path.Combine(shared, "data", "gsm8k", "train.jsonl"))
            .Select(line => JsonElement.Parse(line))
            .SelectMany(row => new[] { row.GetProperty("question").GetString()!, row.GetProperty("answer").GetString()! })];
        string whole = string.Join('\n', rows);
        double megabytes = Encoding.UTF8.GetByteCount(whole) / 1e6;
        Write(
            $"{"tokenizer",-18} {"load, s",8} {"first round",12} {"row by row",12} {"one string",12}   ",
            $"(MB/s; {rows.Length} rows, {megabytes:F2} MB)");

        foreach ((string name, string folder) in new[]
        {
            ("smollm2", Path.Combine(shared, "models", "SmolLM2-135M-Instruct")),
            ("tiny-llama-math", Folders.TinyLlama),
            ("llama3", Path.Combine(shared, "tokenizers", "llama3")),
            ("mistral-v1", Path.Combine(shared, "tokenizers", "mistral-v1")),
            ("mistral-v1-legacy", Path.Combine(shared, "tokenizers", "mistral-v1-legacy")),
        })
        {
            if (!Directory.Exists(folder))
            {
                Write($"{name,-18} '{folder}' is not there");
                continue;
            }

            TextTokenizer? tokenizer = null;
            double load = Seconds(() => tokenizer = TextTokenizer.Load(folder));
            double first = Seconds(EncodeRows);
            double rowByRow = Median(EncodeRows);
            double oneString = Median(() => tokenizer!.Encode(whole, addSpecialTokens: false));
            Write($"{name,-18} {load,8:F2} {megabytes / first,12:F1} {megabytes / rowByRow,12:F1} {megabytes / oneString,12:F1}");

            void EncodeRows()
            {
                foreach (string row in rows)
                {
                    tokenizer!.Encode(row, addSpecialTokens: false);
                }
            }
        }
    }

    private static double Median(Action work) => Statistics.Median(Enumerable.Range(0, Rounds).Select(_ => Seconds(work)));

    private static double Seconds(Action work)
    {
        TimeSpan start = Environment.CpuUsage.TotalTime;
        work();
        return (Environment.CpuUsage.TotalTime - start).TotalSeconds;
    }

    private static void Write(params FormattableString[] pieces) =>
        Console.WriteLine(string.Concat(pieces.Select(FormattableString.Invariant)));
}
