using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>A fine-tuning of the bundled model that takes a second: enough to make it another model, not a better one.</summary>
internal static class TinyTuning
{
    /// <summary>The rows that come with the model.</summary>
    public static IReadOnlyList<Row> Rows { get; } = Read();

    public static IDataView Data(MLContext ml) => ml.Data.LoadFromEnumerable(Rows);

    public static SorsaFineTuningTrainer.Options Options() => new()
    {
        ModelFolder = TestData.TinyLlama,
        Rank = 4,
        BatchSize = 4,
        MaxSteps = 3,
        LearningRate = 1e-2,
        WarmupRatio = 0,
        Generation = new GenerationOptions { MaxNewTokens = 12 },
    };

    public static SorsaTransformer Fit(MLContext ml) => ml.Sorsa().FineTune(Options()).Fit(Data(ml));

    /// <summary>The logits of a fixed text, as bits.</summary>
    public static int[] LogitBits(CausalLM model)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = torch.tensor(Enumerable.Range(5, 20).Select(id => (long)id).ToArray(), [1, 20]);
        return [.. model.Logits(model.Forward(model.Embed(ids))).to(ScalarType.Float32).data<float>().Select(BitConverter.SingleToInt32Bits)];
    }

    private static Row[] Read() =>
    [
        .. File.ReadLines(Path.Combine(TestData.TinyLlama, "sample.jsonl")).Select(line =>
        {
            JsonElement row = JsonDocument.Parse(line).RootElement;
            return new Row { Prompt = row.GetProperty("question").GetString()!, Response = row.GetProperty("answer").GetString()! };
        }),
    ];

    internal sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }

    internal sealed class Answered
    {
        public string Answer { get; set; } = "";
    }
}
