using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Tokenization;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Persistence;

[TestClass]
[TestCategory("Persistence")]
public sealed class SorsaHuggingFaceFolderTests
{
    private static readonly MLContext s_ml = new(seed: 1);
    private static SorsaTransformer? s_tuned;

    private static SorsaTransformer Tuned => s_tuned ??= TinyTask.Fit(s_ml);

    private static IDataView Data => s_ml.Data.TakeRows(TinyTask.Data(s_ml), 5);

    [ClassCleanup]
    public static void Free() => s_tuned?.Dispose();

    [TestMethod]
    public void TheFolderIsAModelOfTheSameBitsAndAnswers()
    {
        using var parent = new TemporaryFolder();
        string folder = parent.File("tuned");
        Tuned.SaveHuggingFace(folder);

        using CausalLM network = CausalLM.Load(folder, ScalarType.Float32, CPU);
        CollectionAssert.AreEqual(TinyTask.LogitBits(Tuned.Model.Network), TinyTask.LogitBits(network));
        using SorsaTransformer loaded = s_ml.Sorsa().LoadModel(folder, generation: TinyTask.Options().Generation);
        CollectionAssert.AreEqual(Answers(Tuned), Answers(loaded));
        Assert.AreEqual(folder, Directory.GetFileSystemEntries(parent.Path).Single());
    }

    [TestMethod]
    public void TheTokenizersFilesAreThoseOfTheModelItStartedFrom()
    {
        using var parent = new TemporaryFolder();
        Tuned.SaveHuggingFace(parent.File("tuned"));

        string[] known = [TokenizerFiles.TokenizerJson, TokenizerFiles.TokenizerConfig, TokenizerFiles.SpecialTokensMap];
        foreach (string name in known)
        {
            CollectionAssert.AreEqual(
                File.ReadAllBytes(Path.Combine(TestData.TinyLlama, name)), File.ReadAllBytes(parent.File("tuned", name)), name);
        }
    }

    [TestMethod]
    [DataRow(WeightType.Checkpoint, "bfloat16")]
    [DataRow(WeightType.Float32, "float32")]
    [DataRow(WeightType.Float16, "float16")]
    public void ConfigNamesTheTypeThatTheWeightsAreIn(WeightType savedType, string dtype)
    {
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        options.SavedType = savedType;
        options.MaxSteps = 1;
        using var parent = new TemporaryFolder();
        using SorsaTransformer tuned = s_ml.Sorsa().FineTune(options).Fit(Data);
        tuned.SaveHuggingFace(parent.File("tuned"));

        JsonElement config = Config(parent.File("tuned")), original = Config(TestData.TinyLlama);
        foreach (JsonProperty property in original.EnumerateObject().Where(property => property.Name != "torch_dtype"))
        {
            Assert.IsTrue(JsonElement.DeepEquals(property.Value, config.GetProperty(property.Name)), property.Name);
        }

        string[] types = ["torch_dtype", "dtype"];
        Assert.IsTrue(types.Any(name => config.TryGetProperty(name, out _)));
        Assert.IsTrue(types.All(name => !config.TryGetProperty(name, out JsonElement type) || type.GetString() == dtype));
        using CausalLM network = CausalLM.Load(parent.File("tuned"), ScalarType.Float32, CPU);
        Assert.AreEqual(dtype, network.StoredType.ToString().ToLowerInvariant());
    }

    [TestMethod]
    public void AnEmptyFolderIsTakenAndAFullOneRefused()
    {
        using var parent = new TemporaryFolder();
        string folder = Directory.CreateDirectory(parent.File("tuned")).FullName;
        Tuned.SaveHuggingFace(folder + Path.DirectorySeparatorChar);
        DateTime written = File.GetLastWriteTimeUtc(Path.Combine(folder, "config.json"));

        var error = Assert.ThrowsExactly<ArgumentException>(() => Tuned.SaveHuggingFace(folder));
        Assert.Contains("is not an empty folder", error.Message);
        Assert.AreEqual(written, File.GetLastWriteTimeUtc(Path.Combine(folder, "config.json")));
        Assert.HasCount(1, Directory.GetFileSystemEntries(parent.Path));
    }

    [TestMethod]
    public void NothingIsLeftOfAFolderThatCouldNotBeWritten()
    {
        using var parent = new TemporaryFolder();
        SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        model.Dispose();

        Exception error = Assert.Throws<Exception>(() => model.SaveHuggingFace(parent.File("tuned")));
        Assert.IsInstanceOfType<ObjectDisposedException>(error);
        Assert.IsEmpty(Directory.GetFileSystemEntries(parent.Path));
    }

    private static JsonElement Config(string folder) =>
        JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "config.json"))).RootElement;

    private static string[] Answers(SorsaTransformer model) => [.. model.Transform(Data).GetColumn<string>("Reply")];
}
