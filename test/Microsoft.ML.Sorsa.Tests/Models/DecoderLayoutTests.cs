using System.Text;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static Microsoft.ML.Sorsa.Tests.Models.ConfigText;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>What a recorded build says of a model, against checkpoints that others wrote.</summary>
[TestClass]
[TestCategory("Models")]
public sealed class DecoderLayoutTests
{
    public static IEnumerable<object[]> Folders => ModelsGoldenTests.Folders;

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void TheRecordedTensorsAreThoseOfTheCheckpoint(string folder)
    {
        using Checkpoint checkpoint = Checkpoint.OpenFolder(TestData.Require(folder));

        DecoderLayout layout = CausalLM.Layout(DecoderConfig.Load(folder).Spec);

        string[] expected = [.. checkpoint.Tensors.Select(named => $"{named.Key} {string.Join(' ', named.Value.shape)}")];
        CollectionAssert.AreEqual(expected, layout.Tensors.Select(named => $"{named.Key} {string.Join(' ', named.Value)}").ToArray());
    }

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void TheRecordedProjectionsAreTheModels(string folder)
    {
        using CausalLM model = CausalLM.Load(TestData.Require(folder), ScalarType.Float32, CPU);

        DecoderLayout layout = CausalLM.Layout(model.Spec);

        CollectionAssert.AreEqual(
            model.Projections.Select(slot => $"{slot.Path} {slot.Name}").ToArray(),
            layout.Projections.Select(projection => $"{projection.Path} {projection.Name}").ToArray());
        CollectionAssert.AreEqual(TinyModel.Targets, layout.TargetModules.ToArray());
        Assert.IsTrue(layout.Projections.All(projection => projection.Shape.SequenceEqual(
            model.NamedWeights.Single(named => named.Key == $"{projection.Path}.weight").Value.shape)));
    }

    /// <summary>A 70B model and one of a million layers, whose weights no machine of ours could hold.</summary>
    [TestMethod]
    public void SizesAloneCostNothing()
    {
        DecoderSpec large = Config(80, 8192, 128256);

        DecoderLayout layout = CausalLM.Layout(large);

        Assert.HasCount(2 + (80 * 9) + 1, layout.Tensors);
        Assert.HasCount(80 * 7, layout.Projections);
        CollectionAssert.AreEqual(new long[] { 128256, 8192 }, layout.Tensors["lm_head.weight"]);
        Assert.HasCount(7, CausalLM.Layout((large with { LayerCount = int.MaxValue }).WithEachKindOfLayer()).Projections);
    }

    [TestMethod]
    [DataRow(1_000_000)]
    [DataRow(int.MaxValue)]
    public void MoreLayersThanTheCheckpointHasTensorsAreRefusedBeforeTheyAreCounted(int layers)
    {
        using CausalLM model = TinyModel.Create();
        using var stream = new MemoryStream();
        CheckpointWriter.Write(stream, model.NamedWeights, ScalarType.Float32);
        stream.Position = 0;
        using Checkpoint checkpoint = Checkpoint.Read(stream, stream.Length, "a tiny model");
        DecoderConfig config = Parse(
            With("num_hidden_layers", FormattableString.Invariant($"{layers}"), Encoding.UTF8.GetString(model.Config.Json)));

        AdapterSet.Verify(config, TinyModel.Targets, 4);
        string message = Assert.ThrowsExactly<InvalidDataException>(() => StoredDecoder.Match(config, checkpoint)).Message;

        Assert.Contains($"{layers} layers (num_hidden_layers)", message);
        Assert.Contains($"{model.NamedWeights.Count} tensors in all", message);
    }

    private static DecoderSpec Config(int layers, int hidden, int vocabulary) => Parse($$"""
        {"model_type": "llama", "vocab_size": {{vocabulary}}, "hidden_size": {{hidden}}, "intermediate_size": 28672,
         "num_hidden_layers": {{layers}}, "num_attention_heads": 64, "num_key_value_heads": 8}
        """).Spec;
}
