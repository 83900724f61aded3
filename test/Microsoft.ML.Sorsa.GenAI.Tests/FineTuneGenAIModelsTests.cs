using Microsoft.ML.Data;
using Microsoft.ML.GenAI.Core;
using Microsoft.ML.GenAI.LLaMA;
using Microsoft.ML.GenAI.Mistral;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Training;
using Microsoft.ML.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.GenAI.Tests;

/// <summary>ML.NET GenAI's own classes, tiny and random: trained in place, as their look-alikes in the other test project are.</summary>
[TestClass]
public sealed class FineTuneGenAIModelsTests
{
    private const int Bytes = 256;
    private const int EndToken = 257;

    [TestMethod]
    [DataRow("llama", FineTuningMethod.Sorsa)]
    [DataRow("mistral", FineTuningMethod.Sorsa)]
    [DataRow("llama", FineTuningMethod.Lora)]
    [DataRow("mistral", FineTuningMethod.Dora)]
    public void TheObjectItselfIsTrained(string name, FineTuningMethod method)
    {
        var mlContext = new MLContext();
        using nn.Module<CausalLMModelInput, CausalLMModelOutput> model = name == "llama" ? Llama() : Mistral();
        Fill(model);
        Dictionary<string, Tensor> before = model.state_dict().ToDictionary(named => named.Key, named => named.Value.detach().clone());
        var losses = new List<double>();
        IDataView data = mlContext.Data.LoadFromEnumerable(Enumerable.Range(1, 12)
            .Select(i => new Row { Prompt = $"{i} + {i}", Response = $"{i + i}" }));

        using SorsaTransformer transformer = mlContext.Sorsa().FineTune(model, ByteTokenizer(), new SorsaFineTuningTrainer.Options
        {
            Method = method,
            Rank = 4,
            LearningRate = 0.05,
            BatchSize = 4,
            NumberOfEpochs = 12,
            PromptTemplate = PromptTemplate.Format("{prompt} = "),
            Generation = new GenerationOptions { MaxNewTokens = 3 },
            Progress = new Listener(losses),
        }).Fit(data);

        Assert.IsLessThan(0.8 * losses[0], losses[^1]);
        Assert.HasCount(12, transformer.Transform(data).GetColumn<string>("Reply").ToArray());
        foreach ((string key, Tensor weight) in model.state_dict())
        {
            Assert.AreNotEqual(key.Contains("_proj.", StringComparison.Ordinal), weight.bytes.SequenceEqual(before[key].bytes), key);
        }
    }

    private static LlamaForCausalLM Llama() => new(new LlamaConfig
    {
        HiddenSize = 16, IntermediateSize = 24, NumAttentionHeads = 4, NumKeyValueHeads = 2, NumHiddenLayers = 2, VocabSize = 264,
        MaxPositionEmbeddings = 128, RopeTheta = 10000, DType = ScalarType.Float32,
    });

    private static MistralForCausalLM Mistral() => new(new MistralConfig
    {
        HiddenSize = 16, IntermediateSize = 24, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 4, NumHiddenLayers = 2,
        VocabSize = 264, MaxPositionEmbeddings = 128, RopeTheta = 10000, DType = ScalarType.Float32,
    });

    private static void Fill(nn.Module model)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(11);
        foreach ((string key, Tensor weight) in model.state_dict()
            .Where(named => named.Value.is_floating_point() && named.Key.EndsWith("weight", StringComparison.Ordinal)))
        {
            weight.copy_(
                (randn(weight.shape, generator: generator) * 0.3) + (key.EndsWith("norm.weight", StringComparison.Ordinal) ? 1 : 0));
        }
    }

    /// <summary>A token for each byte, a begin and an end.</summary>
    private static TiktokenTokenizer ByteTokenizer()
    {
        string table = string.Join('\n', Enumerable.Range(0, Bytes).Select(i => $"{Convert.ToBase64String([(byte)i])} {i}"));
        return TiktokenTokenizer.Create(
            new MemoryStream(System.Text.Encoding.ASCII.GetBytes(table)), null, null,
            new Dictionary<string, int> { ["<|end_of_text|>"] = EndToken });
    }

    private sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }

    private sealed class Listener(List<double> losses) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => losses.Add(value.Loss);
    }
}
