using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Persistence;

/// <summary>What a service does again and again, each time letting go of all that it made; and what the process holds after each.</summary>
internal static class ServiceRounds
{
    private const int Count = 8;

    /// <summary>What can be done over a folder, by name.</summary>
    public static IReadOnlyList<string> Kinds { get; } =
        ["zip", "zip after a training", "folder", "cast", "adapters", "adapters in turn", "fit", "trials"];

    /// <summary>Writes a model of 24 million random weights beside a folder's small files.</summary>
    /// <param name="small">A Llama model, for its tokenizer and its configuration, which is widened.</param>
    /// <param name="folder">The new folder.</param>
    public static void WriteModel(string small, string folder)
    {
        Directory.CreateDirectory(folder);
        foreach (string file in Directory.GetFiles(small).Where(file => !file.EndsWith(".safetensors", StringComparison.Ordinal)))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        string path = Path.Combine(folder, DecoderConfig.FileName);
        JsonNode config = JsonNode.Parse(File.ReadAllText(path))!;
        (config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]) = (512, 1408, 8);
        (config["num_attention_heads"], config["num_key_value_heads"]) = (16, 8);
        File.WriteAllText(path, config.ToJsonString());
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        IEnumerable<KeyValuePair<string, Tensor>> weights = CausalLM.Layout(DecoderConfig.Load(folder).Spec).Tensors.Select(
            named => KeyValuePair.Create(named.Key, randn(named.Value, ScalarType.Float32, CPU, generator: generator) * 0.02));
        using FileStream stream = File.Create(Path.Combine(folder, Checkpoint.SingleFile));
        CheckpointWriter.Write(stream, [.. weights], ScalarType.Float32);
    }

    /// <summary>Does one thing eight times, and gives the resident megabytes after each.</summary>
    /// <param name="kind">One of <see cref="Kinds"/>.</param>
    /// <param name="model">A model's folder.</param>
    /// <param name="work">An empty folder.</param>
    public static IEnumerable<double> Run(string kind, string model, string work)
    {
        SorsaCatalog sorsa = new MLContext().Sorsa();
        string zip = Path.Combine(work, "model.zip"), adapter = Path.Combine(work, "adapter");
        if (kind is "zip")
        {
            using SorsaTransformer saved = sorsa.LoadModel(model);
            saved.Save(zip);
        }
        else if (kind is "zip after a training" or "adapters" or "adapters in turn")
        {
            using SorsaTransformer saved = Fit(model);
            saved.Save(zip);
            saved.SaveAdapter(adapter);
        }

        using SorsaTransformer? served = kind is "adapters in turn" ? sorsa.LoadModel(model) : null;
        served?.LoadAdapter("one", adapter);
        served?.LoadAdapter("other", adapter);
        using SorsaBaseModel? shared = kind is "trials"
            ? sorsa.OpenBaseModel(Options(model), largestRank: 4, Path.Combine(work, "decompositions")) : null;
        for (int i = 0; i < Count; i++)
        {
            switch (kind)
            {
                case "folder":
                    sorsa.LoadModel(model, mapWeights: false).Dispose();
                    break;

                case "cast":
                    sorsa.LoadModel(model, computeType: WeightType.BFloat16).Dispose();
                    break;

                case "adapters":
                    using (SorsaTransformer transformer = sorsa.LoadModel(model))
                    {
                        transformer.LoadAdapter("it", adapter);
                        transformer.UseAdapter("it");
                    }

                    break;

                case "adapters in turn":
                    served!.UseAdapter(i % 2 == 0 ? "one" : "other");
                    break;

                case "fit":
                    Fit(model).Dispose();
                    break;

                case "trials":
                    shared!.FineTune(Options(model), [.. Rows().Select(row => (row.Prompt, row.Response))]).Model.Dispose();
                    break;

                default:
                    sorsa.LoadZip(zip).Dispose();
                    break;
            }

            yield return Resident();
        }
    }

    private static SorsaTransformer Fit(string model)
    {
        var mlContext = new MLContext();
        return mlContext.Sorsa().FineTune(Options(model)).Fit(mlContext.Data.LoadFromEnumerable(Rows()));
    }

    private static SorsaFineTuningTrainer.Options Options(string model) => new() { ModelFolder = model, Rank = 4, BatchSize = 8 };

    private static IEnumerable<Row> Rows() =>
        Enumerable.Range(0, 16).Select(i => new Row { Prompt = string.Create(CultureInfo.InvariantCulture, $"{i} + 1"), Response = "2" });

    private static double Resident()
    {
        string line = File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmRSS", StringComparison.Ordinal));
        return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) / 1024;
    }

    public sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }
}
