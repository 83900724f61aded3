using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>
/// What neither Llama nor Mistral asks for: a bias of q, k and v without one of the output, and windows in some layers. A Qwen2 checkpoint
/// has both, and its config.json says it in Qwen2's own keys: here the numbers are given by hand.
/// </summary>
[TestClass]
[TestCategory("Models")]
public sealed class DecoderSpecTests
{
    private static readonly DecoderSpec s_spec = new()
    {
        VocabularySize = 96,
        HiddenSize = 32,
        MaxPositions = 128,
        Attention = new AttentionSpec(HeadCount: 4, KeyValueHeadCount: 2, HeadDim: 8, InputBias: true),
        FeedForward = new FeedForwardSpec(56, Activation.Silu),
        Norm = new NormSpec(1e-6),
        Rope = new RopeConfig { Type = RopeType.Default, Theta = 10000, HeadDim = 8, MaxPositions = 128 },
        LayerCount = 3,
        LayerPattern = [new LayerSpec(null), new LayerSpec(8), new LayerSpec(8)],
        TieWordEmbeddings = false,
    };

    [TestMethod]
    public void LayersMayDifferAndBiasesStandApart()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor expected = Golden("left.logits"), mask = Golden("left.attention_mask");

        ModelsGoldenTests.AssertClose(expected, Logits(s_spec, mask) * mask.unsqueeze(-1), 1e-5);

        // The same with one window everywhere, or none, is another model: the case can tell them apart.
        Assert.IsGreaterThan(1e-3, Worst(s_spec with { LayerPattern = [new LayerSpec(8)] }));
        Assert.IsGreaterThan(1e-3, Worst(s_spec with { LayerPattern = [new LayerSpec(null)] }));

        double Worst(DecoderSpec spec) =>
            ((Logits(spec, mask) * mask.unsqueeze(-1)) - expected).abs().max().to(ScalarType.Float64).item<double>();
    }

    [TestMethod]
    public void ACacheGivesTheSameWhereLayersDiffer()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using Checkpoint checkpoint = Checkpoint.OpenFolder(Folder);
        var decoder = new Decoder(s_spec, "model", new LoadedWeights(checkpoint, ScalarType.Float32, CPU));
        Tensor embedded = decoder.Embedding.call(Golden("right.input_ids"));
        Tensor full = decoder.Forward(embedded);

        using var cache = new KVCache(s_spec, embedded.shape[0], (int)embedded.shape[1], ScalarType.Float32, CPU);
        for (int past = 0; past < embedded.shape[1]; past++)
        {
            ModelsGoldenTests.AssertClose(full.narrow(1, past, 1), decoder.Forward(embedded.narrow(1, past, 1), null, cache), 1e-5);
        }
    }

    private static string Folder => TestData.Require(TestData.Golden("families", "qwen2-window"));

    private static Tensor Golden(string name)
    {
        using Checkpoint golden = Checkpoint.OpenFile(Path.Combine(Folder, "expected.safetensors"));
        return golden.Tensors[name].clone();
    }

    private static Tensor Logits(DecoderSpec spec, Tensor mask)
    {
        using Checkpoint checkpoint = Checkpoint.OpenFolder(Folder);
        Tensor head = checkpoint.Tensors["lm_head.weight"].clone();
        var decoder = new Decoder(spec, "model", new LoadedWeights(checkpoint, ScalarType.Float32, CPU));
        return nn.functional.linear(decoder.Forward(decoder.Embedding.call(Golden("left.input_ids")), mask), head);
    }
}
