using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Surface;

/// <summary>A few rows for the bundled model, and options that train on them in a moment.</summary>
internal static class TinyTask
{
    public static readonly Row[] Rows = [.. Enumerable.Range(1, 12).Select(i => new Row
    {
        Prompt = $"Tom has {i} apples. He buys {i + 2} more. How many?",
        Response = $"{i} + {i + 2} = {i + i + 2}.",
    })];

    internal sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }

    internal sealed class Answered
    {
        public string Reply { get; set; } = "";
    }

    public static SorsaFineTuningTrainer.Options Options() => new()
    {
        ModelFolder = TestData.TinyLlama,
        Rank = 4,
        TargetModules = ["q_proj", "down_proj"],
        LearningRate = 5e-3,
        BatchSize = 4,
        Generation = new GenerationOptions { MaxNewTokens = 12, BatchSize = 4 },
    };

    public static IDataView Data(MLContext mlContext) => mlContext.Data.LoadFromEnumerable(Rows);

    public static SorsaTransformer Fit(MLContext mlContext) => mlContext.Sorsa().FineTune(Options()).Fit(Data(mlContext));

    /// <summary>The logits of a fixed text, as bits.</summary>
    public static int[] LogitBits(CausalLM model)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = tensor(Enumerable.Range(5, 20).Select(id => (long)id).ToArray(), [1, 20]).OnDevice();
        return [.. model.Logits(model.Forward(model.Embed(ids)))
            .to(ScalarType.Float32)
            .cpu().data<float>()
            .Select(BitConverter.SingleToInt32Bits)];
    }

    public static string[] Answers(ITransformer model, IDataView data) => [.. model.Transform(data).GetColumn<string>("Reply")];
}
