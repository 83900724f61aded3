using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static Microsoft.ML.Sorsa.Tests.Models.ConfigText;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>What config.json says of any family; the families' own keys are tested under Families.</summary>
[TestClass]
[TestCategory("Models")]
public sealed class DecoderConfigTests
{
    [TestMethod]
    [DataRow("2", "2")]
    [DataRow("[81, 88, 95]", "81 88 95")]
    [DataRow("[]", "")]
    [DataRow("null", "")]
    public void EosIsOneOrAList(string json, string expected) =>
        Assert.AreEqual(expected, string.Join(' ', Parse(With("eos_token_id", json, Minimal)).EosTokenIds));

    [TestMethod]
    [DataRow("eos_token_id", "96", "eos_token_id 96 is not below vocab_size 96")]
    [DataRow("eos_token_id", "\"2\"", "'eos_token_id' must be a whole number or a list of them; it is \"2\"")]
    [DataRow("eos_token_id", "[2, 3.5]", "it is [2, 3.5]")]
    public void AnEosThatMakesNoSenseIsRefused(string key, string value, string message) => Assert.Contains(
        message, Assert.ThrowsExactly<InvalidDataException>(() => Parse(With(key, value, Minimal))).Message);

    [TestMethod]
    public void QuantisedWeightsAreRefused() => Assert.Contains("quantization_config", Assert.ThrowsExactly<NotSupportedException>(
        () => Parse(With("quantization_config", "{\"bits\": 4}", Minimal))).Message);

    [TestMethod]
    [DataRow("")]
    [DataRow("{")]
    [DataRow("[]")]
    [DataRow("null")]
    public void WhatIsNoObjectIsRefused(string json) =>
        Assert.Contains("config.json", Assert.ThrowsExactly<InvalidDataException>(() => Parse(json)).Message);

    [TestMethod]
    public void AMissingFolderOrFileIsNamed()
    {
        using var folder = new TemporaryFolder();

        Assert.Contains("config.json", Assert.ThrowsExactly<FileNotFoundException>(() => DecoderConfig.Load(folder.Path)).Message);
        Assert.Contains(
            folder.File("none"), Assert.ThrowsExactly<DirectoryNotFoundException>(() => DecoderConfig.Load(folder.File("none"))).Message);
    }

    [TestMethod]
    [DataRow("dtype", torch.ScalarType.BFloat16, "bfloat16")]
    [DataRow("torch_dtype", torch.ScalarType.Float16, "float16")]
    [DataRow("torch_dtype", torch.ScalarType.Float32, "float32")]
    public void WhatIsSavedIsWhatWasReadButForTheType(string key, torch.ScalarType type, string name)
    {
        string json = With("unknown_to_us", """{"a": [1, 2.50, "ñ"]}""", With(key, "\"something\"", Minimal));

        JsonNode saved = JsonNode.Parse(Parse(json).JsonFor(type))!;

        JsonNode expected = JsonNode.Parse(json)!;
        expected[key] = name;
        Assert.IsTrue(JsonNode.DeepEquals(expected, saved));
    }
}
