using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tests;
using QuickStart;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// What a change must leave as it is, to the last bit, on one machine: the first losses and a hash of the merged weights of QuickStart's
/// training, and of every method on a golden model: <c>bits [--device cpu] [--type float32]</c>. It uses the public surface alone, so
/// that one program runs on both sides of a change.
/// </summary>
internal static class TrainingBits
{
    private const int Losses = 20;
    private const string Letters = "abcdefghijklmnopqrstuvwxyz0123456789 .,?+-=#";

    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, [], Arguments.DeviceOption, Arguments.TypeOption);
        MLContext mlContext = TestDevice.ContextOf(arguments.Device);
        WeightType type = arguments.Type == ScalarType.Float32 ? WeightType.Float32 : WeightType.BFloat16;
        string folder = Directory.CreateTempSubdirectory("sorsa-bits-").FullName;
        try
        {
            Train("quickstart", QuickStartOptions(), QuickStartRows(), folder, mlContext, type);
            string golden = GoldenModel(folder);
            foreach ((string name, SorsaFineTuningTrainer.Options options) in Methods())
            {
                if (type == WeightType.BFloat16
                    && options.Method is FineTuningMethod.Full or FineTuningMethod.GaLore or FineTuningMethod.Lisa)
                {
                    Console.WriteLine($"{name}: trains every weight, which is refused in 16 bits");
                    continue;
                }

                options.ModelFolder = golden;
                options.PromptTemplate = PromptTemplate.Format("{prompt} = ");
                Train(name, options, GoldenRows(), folder, mlContext, type);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    public static SorsaFineTuningTrainer.Options QuickStartOptions() =>
        new() { ModelFolder = Folders.TinyLlama, PromptTemplate = PromptTemplate.Format(PromptTemplate.Alpaca + "\n") };

    /// <summary>Every method and its variants, over the golden model.</summary>
    public static IEnumerable<(string Name, SorsaFineTuningTrainer.Options Options)> Methods()
    {
        foreach (FineTuningMethod method in Enum.GetValues<FineTuningMethod>())
        {
            var options = new SorsaFineTuningTrainer.Options { Method = method, BatchSize = 8, NumberOfEpochs = 4, LearningRate = 2e-3 };
            if (method == FineTuningMethod.AdaLora)
            {
                options.RankBudget = new RankBudget { TargetRank = 2, WarmupSteps = 4, FinalSteps = 4, Interval = 2 };
            }

            options.GradientProjection = method == FineTuningMethod.GaLore ? new GradientProjection { UpdateSteps = 5 } : null;
            options.LayerSampling = method == FineTuningMethod.Lisa ? new LayerSampling { Layers = 1, IntervalSteps = 5 } : null;
            options.Rank = options.HasEffect(nameof(options.Rank)) ? 4 : null;
            options.Dropout = options.HasEffect(nameof(options.Dropout)) ? 0.1 : 0;

            yield return (method.ToString(), options);
        }

        SorsaFineTuningTrainer.Options Sorsa() =>
            new() { Rank = 4, BatchSize = 4, GradientAccumulationSteps = 2, NumberOfEpochs = 4, LearningRate = 2e-3 };
        SorsaFineTuningTrainer.Options hard = Sorsa(), quantized = Sorsa(), trailing = Sorsa();
        hard.HardOrthonormality = true;
        quantized.Quantization = BaseQuantization.NF4;
        trailing.Triplets = SingularTriplets.Trailing;
        yield return ("Sorsa, hard orthonormality", hard);
        yield return ("Sorsa, NF4", quantized);
        yield return ("Sorsa, trailing", trailing);
    }

    private static void Train(
        string name, SorsaFineTuningTrainer.Options options, IEnumerable<Row> rows, string folder, MLContext mlContext, WeightType type)
    {
        var losses = new List<double>();
        options.Progress = new Recorder(losses);
        options.ComputeType = type;
        string saved = Path.Combine(folder, "saved");
        using (SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(mlContext.Data.LoadFromEnumerable(rows)))
        {
            model.SaveHuggingFace(saved);
        }

        string hash = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Path.Combine(saved, "model.safetensors"))));
        Directory.Delete(saved, recursive: true);
        byte[] bytes = [.. losses.SelectMany(BitConverter.GetBytes)];
        string first = string.Join(
            " ", losses.Take(name == "quickstart" ? Losses : 2).Select(loss => loss.ToString("R", CultureInfo.InvariantCulture)));
        Console.WriteLine(
            $"{name}: {losses.Count} steps, losses {Convert.ToHexStringLower(SHA256.HashData(bytes))[..16]}, weights {hash[..16]}, " +
            $"first losses {first}");
    }

    public static IEnumerable<Row> QuickStartRows(int count = 2000)
    {
        ArithmeticTask task = ArithmeticTask.Load(Folders.TinyLlama);
        HashSet<string> asked = [.. task.Draw(200, 1).Select(row => row.Question)];
        return task.Draw(count, 2, asked).Select(row => new Row { Prompt = row.Question, Response = row.Answer });
    }

    public static IEnumerable<Row> GoldenRows() =>
        Enumerable.Range(0, 40)
            .Select(i => new Row
            {
                Prompt = FormattableString.Invariant($"{i} + {i * 7 % 13}"),
                Response = FormattableString.Invariant($"{i + (i * 7 % 13)}.")
            });

    /// <summary>A golden model, which has weights alone, with a tokenizer of single letters.</summary>
    public static string GoldenModel(string folder)
    {
        string golden = Path.Combine(folder, "golden");
        Directory.CreateDirectory(golden);
        foreach (string file in Directory.EnumerateFiles(Path.Combine(Folders.Golden, "models", "llama-gqa-tied")))
        {
            File.Copy(file, Path.Combine(golden, Path.GetFileName(file)));
        }

        string[] special = ["<unk>", "<s>", "</s>", "<pad>"];
        var vocabulary = special.Concat(Letters.Select(letter => letter.ToString()))
            .Select((token, id) => (token, id))
            .ToDictionary(pair => pair.token, pair => pair.id);
        var tokenizer = new
        {
            version = "1.0",
            added_tokens = special.Select(
                (content, id) =>
                    new { id, content, single_word = false, lstrip = false, rstrip = false, normalized = false, special = true }),
            model = new { type = "BPE", unk_token = "<unk>", vocab = vocabulary, merges = Array.Empty<string>() },
            decoder = new { type = "Sequence", decoders = new object[] { new { type = "ByteFallback" }, new { type = "Fuse" } } },
        };
        File.WriteAllText(Path.Combine(golden, "tokenizer.json"), JsonSerializer.Serialize(tokenizer));
        File.WriteAllText(
            Path.Combine(golden, "tokenizer_config.json"),
            JsonSerializer.Serialize(new { bos_token = "<s>", eos_token = "</s>", unk_token = "<unk>", pad_token = "<pad>" }));
        return golden;
    }

    private sealed class Recorder(List<double> losses) : IProgress<Training.SorsaTrainingProgress>
    {
        public void Report(Training.SorsaTrainingProgress value) => losses.Add(value.Loss);
    }

    public sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }
}
