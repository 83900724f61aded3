using System.Diagnostics;
using System.Globalization;
using System.Numerics.Tensors;
using LLama;
using LLama.Common;
using LLama.Native;
using Microsoft.ML.Sorsa.Models;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// Generation here and in llama.cpp, by LLamaSharp over a GGUF file of the same weights:
/// <c>llama [model folder] [new tokens] [rounds] [--type float32]</c>. Rounds take turns, so that what else the machine does meets both;
/// all threads; greedy, ids chosen from the logits on the host.
/// </summary>
internal static class LlamaSpeed
{
    private const int PromptLength = 512, ShortPrompt = 16, Rows = 8;

    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, ["model", "new tokens", "rounds"], Arguments.TypeOption);
        string folder = arguments.Text("model") ?? Folders.SmolLM2;
        int newTokens = arguments.Number("new tokens", 65), rounds = arguments.Number("rounds", 7);
        GgufType type = arguments.Type == ScalarType.BFloat16 ? GgufType.BF16 : GgufType.F32;
        string file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.gguf");
        try
        {
            using (SorsaTransformer transformer = new MLContext().Sorsa().LoadModel(folder))
            {
                transformer.SaveGguf(file, type);
            }

            using CausalLM model = CausalLM.Load(folder, arguments.Type, CPU);
            using var client = new LlamaRun(file);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{Path.GetFileName(folder)}, {type}, {get_num_threads()} threads here, {client.Threads} in llama.cpp, median of {rounds} "
                + $"rounds in turns, tokens/s"));
            Compare("prompt of 512", rounds, PromptLength,
                round => GenerationSpeed.Measure(model, 1, 1, round, PromptLength).Prefill,
                round => client.Measure(1, 1, round, PromptLength).Prefill);
            Compare("decode, 1 row", rounds, newTokens - 1,
                round => GenerationSpeed.Measure(model, 1, newTokens, round, ShortPrompt).Decode,
                round => client.Measure(1, newTokens, round, ShortPrompt).Decode);
            Compare($"decode, {Rows} rows", rounds, Rows * (newTokens - 1),
                round => GenerationSpeed.Measure(model, Rows, newTokens, round, ShortPrompt).Decode,
                round => client.Measure(Rows, newTokens, round, ShortPrompt).Decode);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <param name="what">What is measured.</param>
    /// <param name="rounds">One more warms up.</param>
    /// <param name="tokens">How many a round has.</param>
    /// <param name="ours">Seconds of a round here.</param>
    /// <param name="theirs">Seconds of a round there.</param>
    private static void Compare(string what, int rounds, int tokens, Func<int, double> ours, Func<int, double> theirs)
    {
        var times = new List<(double Ours, double Theirs)>();
        for (int round = 0; round <= rounds; round++)
        {
            times.Add((ours(round), theirs(round)));
        }

        double here = tokens / Statistics.Median(times.Skip(1).Select(time => time.Ours));
        double there = tokens / Statistics.Median(times.Skip(1).Select(time => time.Theirs));
        double ratio = Statistics.Median(times.Skip(1).Select(time => time.Theirs / time.Ours));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{what}: {here:F1} here, {there:F1} in llama.cpp, {ratio:F2} of it"));
    }

    /// <summary>A model in llama.cpp, with its own defaults but for the room that the rows need.</summary>
    private sealed class LlamaRun : IDisposable
    {
        private const int ContextOfARow = 640;

        private readonly LLamaWeights _weights;
        private readonly LLamaContext _context;

        public LlamaRun(string file)
        {
            NativeLibraryConfig.All.WithLogCallback((level, message) =>
            {
                if (level == LLamaLogLevel.Error)
                {
                    Console.Error.Write(message);
                }
            });
            var parameters = new ModelParams(file)
            {
                ContextSize = Rows * ContextOfARow,
                SeqMax = Rows,
                GpuLayerCount = 0,
                Threads = Environment.ProcessorCount,
                BatchThreads = Environment.ProcessorCount,
            };
            _weights = LLamaWeights.LoadFromFile(parameters);
            _context = _weights.CreateContext(parameters);
        }

        public int Threads => _context.NativeHandle.GenerationThreads;

        /// <summary>Seconds until the first token of every row, and for the others.</summary>
        public (double Prefill, double Decode) Measure(int rows, int newTokens, int round, int promptLength)
        {
            SafeLLamaContextHandle handle = _context.NativeHandle;
            handle.MemoryClear(true);
            Random random = new(round);
            int[][] prompts = [.. Enumerable.Range(0, rows).Select(
                _ => Enumerable.Range(0, promptLength).Select(_ => random.Next(_weights.Vocab.Count)).ToArray())];
            var places = new int[rows];
            Stopwatch watch = Stopwatch.StartNew();
            var batch = new LLamaBatch();
            for (int row = 0; row < rows; row++)
            {
                for (int at = 0; at < promptLength; at++)
                {
                    places[row] = batch.Add(prompts[row][at], at, (LLamaSeqId)row, logits: at == promptLength - 1);
                }
            }

            int[] chosen = Choose(batch, places);
            double prefill = watch.Elapsed.TotalSeconds;
            for (int step = 1; step < newTokens; step++)
            {
                batch.Clear();
                for (int row = 0; row < rows; row++)
                {
                    places[row] = batch.Add(chosen[row], promptLength + step - 1, (LLamaSeqId)row, logits: true);
                }

                chosen = Choose(batch, places);
            }

            return (prefill, watch.Elapsed.TotalSeconds - prefill);
        }

        public void Dispose()
        {
            _context.Dispose();
            _weights.Dispose();
        }

        private int[] Choose(LLamaBatch batch, int[] places)
        {
            SafeLLamaContextHandle handle = _context.NativeHandle;
            return handle.Decode(batch) == DecodeResult.Ok
                ? [.. places.Select(place => TensorPrimitives.IndexOfMax<float>(handle.GetLogitsIth(place)))]
                : throw new InvalidOperationException("llama.cpp did not decode a batch.");
        }
    }
}
