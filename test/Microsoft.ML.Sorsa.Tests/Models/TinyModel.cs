using System.Text;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>A random decoder of two small layers, and rows of unequal length for it: what a test of mechanics needs.</summary>
internal static class TinyModel
{
    public const int VocabularySize = 40;

    public static readonly string[] Targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    /// <summary>The trainer's defaults.</summary>
    public static TrainingSettings Settings => new SorsaFineTuningTrainer.Options().ToSettings().Training;

    public static DecoderConfig Config(bool bias = false, bool tied = false) => DecoderConfig.Parse(
        Encoding.UTF8.GetBytes($$"""
            {"model_type": "llama", "vocab_size": {{VocabularySize}}, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
             "attention_bias": {{(bias ? "true" : "false")}}, "mlp_bias": {{(bias ? "true" : "false")}},
             "tie_word_embeddings": {{(tied ? "true" : "false")}}}
            """),
        "config.json");

    public static CausalLM Create(
        ScalarType type = ScalarType.Float32, bool bias = false, bool tied = false, ScalarType? stored = null) =>
        Create(Config(bias, tied), type, stored);

    public static CausalLM Create(DecoderConfig config, ScalarType type = ScalarType.Float32, ScalarType? stored = null)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(17);
        KeyValuePair<string, Tensor>[] weights = [.. CausalLM.Layout(config.Spec).Tensors.Select(named =>
        {
            int mean = named.Key.EndsWith("norm.weight", StringComparison.Ordinal) ? 1 : 0;
            return KeyValuePair.Create(
                named.Key, randn(named.Value, ScalarType.Float64, generator: generator).OnDevice().Scale(0.3).Shift((double)mean));
        })];
        using var stream = new MemoryStream();
        CheckpointWriter.Write(stream, weights, stored ?? type);
        stream.Position = 0;
        using Checkpoint checkpoint = Checkpoint.Read(stream, stream.Length, "a tiny model");
        return CausalLM.Load(config, checkpoint, type, TestDevice.Current);
    }

    /// <summary>SORSA on every projection, or on some of them.</summary>
    public static AdapterSet Adapt(
        CausalLM model, int rank = 4, double scale = 1, double dropout = 0, string[]? targets = null, double gamma = 4e-4)
    {
        var generator = new Generator(5);
        return AdapterSet.Inject(model, targets ?? Targets, new SorsaMethod
        {
            Rank = rank,
            Scale = scale,
            Gamma = gamma,
            Decomposition = Decomposition.Drawn(generator),
            Dropout = dropout > 0 ? new InputDropout(dropout, seed: 5) : null,
        });
    }

    public static SupervisedExample[] Rows(int count, int seed = 3)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ =>
        {
            int prompt = random.Next(1, 8);
            return new SupervisedExample(
                [.. Enumerable.Range(0, prompt + random.Next(1, 12)).Select(_ => random.Next(VocabularySize))],
                prompt);
        })];
    }

    /// <summary>Every trained value, one after the other, in float64.</summary>
    public static double[] Values(AdapterSet adapters) =>
        [.. adapters.Trainable.SelectMany(named => named.Value.detach().to(ScalarType.Float64).flatten().cpu().data<double>().ToArray())];
}
