using System.Globalization;
using System.Text;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Models;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// What trainings of a model would take on a GPU in bfloat16, from its config.json alone: <c>estimate [config.json] [tokens]</c>; the shape
/// of Llama 2 7B and rows of 512 tokens, half of them labelled, by default. GiB.
/// </summary>
internal static class MemoryTable
{
    private const double GiB = 1L << 30;

    private const string Llama2_7B = """
        {"model_type": "llama", "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
         "num_attention_heads": 32, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5}
        """;

    private static readonly (FineTuningMethod Method, int Rank, int Rows, bool Checkpointing, bool Nf4)[] s_trainings =
    [
        (FineTuningMethod.Sorsa, 128, 1, false, false),
        (FineTuningMethod.Sorsa, 128, 1, true, false),
        (FineTuningMethod.Sorsa, 128, 1, true, true),
        (FineTuningMethod.Sorsa, 128, 4, false, false),
        (FineTuningMethod.Sorsa, 128, 4, true, false),
        (FineTuningMethod.Sorsa, 128, 16, false, false),
        (FineTuningMethod.Sorsa, 128, 16, true, false),
        (FineTuningMethod.Sorsa, 16, 1, true, true),
        (FineTuningMethod.Lora, 16, 1, false, false),
        (FineTuningMethod.Lora, 16, 4, false, false),
        (FineTuningMethod.Lora, 128, 4, false, false),
        (FineTuningMethod.Dora, 16, 4, false, false),
        (FineTuningMethod.AdaLora, 16, 4, false, false),
    ];

    public static void Run(string[] args)
    {
        string source = args.Length > 0 ? args[0] : "the shape of Llama 2 7B";
        DecoderConfig config = DecoderConfig.Parse(args.Length > 0 ? File.ReadAllBytes(source) : Encoding.UTF8.GetBytes(Llama2_7B), source);
        int tokens = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 512;
        var model = new ModelSizes(config.Spec, ScalarType.BFloat16, ScalarType.BFloat16, OwnsWeights: true, OnCpu: false);
        Console.WriteLine($"{source}, bfloat16, rows of {tokens} tokens, half of them labelled; GiB");
        Console.WriteLine(
            "| training | weights | adapters | moments | gradients | activations | logits | start | step | end | peak |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|");
        foreach ((FineTuningMethod method, int rank, int rows, bool checkpointing, bool nf4) in s_trainings)
        {
            var memory = new Memory.TrainingMemory(model, new TrainingPlan
            {
                Method = MethodCatalog.Get(method),
                MethodSettings = new MethodSettings
                {
                    Rank = rank,
                    Quantization = nf4 ? BaseQuantization.NF4 : BaseQuantization.None,
                },
                TargetModules = new SorsaFineTuningTrainer.Options().TargetModules,
                Validation = [],
                Accumulates = false,
                GradientCheckpointing = checkpointing,
                LogitsChunkSize = new SorsaFineTuningTrainer.Options().LogitsChunkSize,
            });
            var batch = new BatchSizes(rows, tokens, rows * (long)tokens / 2);
            long[] numbers =
            [
                memory.Weights, memory.Adapters, memory.Moments, memory.Gradients, memory.Activations(batch), memory.Logits(batch),
                memory.Start, memory.Step(batch), memory.End, new[] { memory.Start, memory.Step(batch), memory.End }.Max(),
            ];
            string name = $"{method}{(nf4 ? " over NF4" : "")} r{rank}, {rows} × {tokens}{(checkpointing ? ", checkpointing" : "")}";
            Console.WriteLine($"| {name} | {string.Join(" | ", numbers.Select(Text))} |");
        }

        static string Text(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / GiB:F1}");
    }
}
