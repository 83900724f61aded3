using System.Text;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>Files as users have them, of the kinds of the cases, that a review tried beside the cases' own.</summary>
[TestClass]
[TestCategory("Cases")]
[TestCategory("Checkpoints")]
public sealed class OtherFileCases
{
    private const int LongestMessage = 2000;
    private static readonly string s_long = new('x', 5000);

    [TestMethod]
    [DataRow("config.json", """{"model_type":"@"}""")]
    [DataRow("tokenizer_config.json", """{"bos_token":"@"}""")]
    [DataRow("tokenizer_config.json", """{"added_tokens_decoder":{"@":{"content":"a"}}}""")]
    [DataRow("tokenizer_config.json", """{"added_tokens_decoder":{"1":{"content":"@"}}}""")]
    [DataRow("tokenizer.json", """{"@":1}""")]
    [DataRow("added_tokens.json", """{"@":1}""")]
    [DataRow("added_tokens.json", """{"a":tru @}""")]
    [DataRow("model.safetensors", """{"@":{"dtype":"F32","shape":[],"data_offsets":[0,0]}}""")]
    [DataRow("model.safetensors", """{"a":{"dtype":"@","shape":[0],"data_offsets":[0,0]}}""")]
    [DataRow("model.safetensors", """{"a":{"dtype":"F32","shape":"@","data_offsets":[0,0]}}""")]
    [DataRow("model.safetensors", """{"a":tru @}""")]
    public void Case15AMessageIsShortWhateverTheFileHolds(string file, string content)
    {
        using var folder = Mini();
        byte[] bytes = Encoding.UTF8.GetBytes(content.Replace("@", s_long, StringComparison.Ordinal));
        File.WriteAllBytes(
            Path.Combine(folder.Path, file),
            file == Checkpoint.SingleFile ? [.. BitConverter.GetBytes((long)bytes.Length), .. bytes] : bytes);

        Exception error = Assert.Throws<Exception>(() => Load(folder.Path).Dispose());

        Assert.IsTrue(error is InvalidDataException or NotSupportedException, error.ToString());
        Assert.IsLessThan(LongestMessage, error.Message.Length);
    }

    [TestMethod]
    public void Case12WhatIsNoJsonSaysWhereAndWhatToDo()
    {
        InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(
            () => JsonReader.Parse("config.json", "{\n \"a\": 1,\n}"u8));

        StringAssert.Contains(error.Message, "config.json is not valid JSON");
        StringAssert.Contains(error.Message, "line 3, byte 1");
        StringAssert.Contains(error.Message, "Correct it");
        Assert.DoesNotContain("reader options", error.Message);
    }

    [TestMethod]
    [DataRow("config.json")]
    [DataRow("tokenizer.json")]
    [DataRow("tokenizer_config.json")]
    [DataRow("model.safetensors")]
    public void Case01AFileInOtherLettersIsNotPassedOver(string name)
    {
        using var folder = Mini();
        string other = Path.Combine(folder.Path, name.ToUpperInvariant());
        File.Move(Path.Combine(folder.Path, name), other);
        if (File.Exists(Path.Combine(folder.Path, name)))
        {
            Assert.Inconclusive("Letters' case does not count on this disk.");
        }

        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(() => Load(folder.Path).Dispose()).Message, $"'{other}' would be '{name}'");

        File.Delete(other);
        Directory.CreateDirectory(Path.Combine(folder.Path, name));
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(() => Load(folder.Path).Dispose()).Message, "is a folder and no file");
    }

    [TestMethod]
    public void Case06ATiedModelMayBeStoredByItsHeadAlone()
    {
        using var folder = Mini();
        using SorsaTransformer before = Load(folder.Path);
        Store(folder.Path, name => name == "model.embed_tokens.weight" ? "lm_head.weight" : name);

        using SorsaTransformer after = Load(folder.Path);

        Assert.AreEqual(before.Generate("hi ok"), after.Generate("hi ok"));
    }

    [TestMethod]
    public void Case06AMissingHeadComesWithTheFlagToSet()
    {
        using var folder = Mini();
        string path = Path.Combine(folder.Path, "config.json");
        var config = (JsonObject)JsonNode.Parse(File.ReadAllBytes(path))!;
        config["tie_word_embeddings"] = false;
        File.WriteAllText(path, config.ToJsonString());

        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(() => Load(folder.Path).Dispose()).Message, "set tie_word_embeddings to true");
    }

    [TestMethod]
    public void Case14ATensorWithoutValuesChangesNothing()
    {
        using var folder = Mini();
        Store(folder.Path, name => name, ("model.empty", torch.zeros(0, 4)));

        using SorsaTransformer model = Load(folder.Path);

        Assert.IsNotNull(model.Generate("hi"));
    }

    [TestMethod]
    public void Case13WithoutConfigTheWeightsAreNotCalledAShard()
    {
        using var folder = Mini();
        File.Delete(Path.Combine(folder.Path, "config.json"));

        string message = Assert.ThrowsExactly<FileNotFoundException>(() => Load(folder.Path).Dispose()).Message;

        StringAssert.Contains(message, "copy the config.json");
        Assert.DoesNotContain("shards", message);
    }

    [TestMethod]
    public void Case14AHeaderOfOtherKindsOfValuesNamesTheTensor()
    {
        using var folder = Mini();
        byte[] json = """{"a.weight":{"dtype":"F32","shape":[1],"data_offsets":"0"}}"""u8.ToArray();
        File.WriteAllBytes(Path.Combine(folder.Path, "model.safetensors"), [.. BitConverter.GetBytes((long)json.Length), .. json]);

        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(() => Load(folder.Path).Dispose()).Message, "tensor 'a.weight' has");
    }

    [TestMethod]
    [DataRow("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "Git LFS pointer")]
    [DataRow("<!DOCTYPE html><html></html>", "web page")]
    [DataRow("some text", "no model zip")]
    [DataRow("", "empty")]
    public void Case13AFileThatIsNoModelZipIsCalledByItsName(string content, string expected)
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "model.zip");
        File.WriteAllText(path, content);

        InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(() => new MLContext().Sorsa().LoadZip(path));

        StringAssert.Contains(error.Message, path);
        StringAssert.Contains(error.Message, expected);
    }

    [TestMethod]
    public void AttackAFrozenWeightThatIsNotFiniteIsTheFilesFault()
    {
        using var folder = Mini();
        Store(folder.Path, name => name, weight => weight.fill_(double.NaN), "model.norm.weight");
        var mlContext = new MLContext();
        SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(new SorsaFineTuningTrainer.Options
        {
            ModelFolder = folder.Path,
            PromptTemplate = Microsoft.ML.Sorsa.Data.PromptTemplate.Format("{prompt}"),
            MaxSteps = 1,
            Rank = 2,
        });

        string message = Assert.ThrowsExactly<ArithmeticException>(
            () => trainer.Fit(Microsoft.ML.Sorsa.Tests.Surface.TinyTask.Data(mlContext))).Message;

        StringAssert.Contains(message, "'model.norm.weight'");
        StringAssert.Contains(message, "Fetch them again");
        Assert.DoesNotContain("LearningRate", message);
    }

    private static TemporaryFolder Mini()
    {
        var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.Path);
        foreach (string file in Directory.GetFiles(TestData.Case("00-mini-model")))
        {
            File.WriteAllBytes(Path.Combine(folder.Path, Path.GetFileName(file)), File.ReadAllBytes(file));
        }

        return folder;
    }

    private static SorsaTransformer Load(string folder) => new MLContext().Sorsa().LoadModel(
        folder,
        promptTemplate: Microsoft.ML.Sorsa.Data.PromptTemplate.Format("{prompt}"),
        generation: new Microsoft.ML.Sorsa.Generation.GenerationOptions { MaxNewTokens = 8 });

    private static void Store(string folder, Func<string, string> name, params (string Name, torch.Tensor Tensor)[] more) =>
        Write(folder, tensors => [.. tensors.Select(named => KeyValuePair.Create(name(named.Key), named.Value)),
            .. more.Select(named => KeyValuePair.Create(named.Name, named.Tensor))]);

    private static void Store(string folder, Func<string, string> name, Action<torch.Tensor> change, string changed) =>
        Write(folder, tensors =>
        {
            change(tensors[changed]);
            return [.. tensors.Select(named => KeyValuePair.Create(name(named.Key), named.Value))];
        });

    private static void Write(
        string folder, Func<Dictionary<string, torch.Tensor>, IReadOnlyCollection<KeyValuePair<string, torch.Tensor>>> change)
    {
        using var scope = torch.NewDisposeScope();
        Dictionary<string, torch.Tensor> tensors;
        using (Checkpoint stored = Checkpoint.OpenFolder(folder, map: false))
        {
            tensors = stored.Tensors.ToDictionary(named => named.Key, named => named.Value.clone(), StringComparer.Ordinal);
        }

        string path = Path.Combine(folder, Checkpoint.SingleFile);
        File.Delete(path);
        using FileStream stream = File.Create(path);
        CheckpointWriter.Write(stream, change(tensors), torch.ScalarType.BFloat16);
    }
}
