using System.Text.Json.Nodes;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Training;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Surface;

/// <summary>What is wrong is said before anything expensive starts, and nothing half-written is left.</summary>
[TestClass]
[TestCategory("Surface")]
public sealed class SorsaBadInputTests
{
    private readonly MLContext _mlContext = new();

    [TestMethod]
    public void AFolderThatIsNotThere() =>
        Refused<DirectoryNotFoundException>(Path.Combine(TestData.TinyLlama, "nowhere"), "nowhere' does not exist");

    [TestMethod]
    [DataRow("config.json", "has no config.json")]
    [DataRow("model.safetensors", "has neither model.safetensors nor model.safetensors.index.json")]
    [DataRow("tokenizer.json", "holds neither tokenizer.json nor tokenizer.model")]
    public void AFileThatIsNotThere(string file, string message)
    {
        using TemporaryFolder folder = CopyOfModel();
        File.Delete(folder.File(file));

        Refused<FileNotFoundException>(folder.Path, message);
    }

    [TestMethod]
    public void AnotherArchitecture()
    {
        using TemporaryFolder folder = CopyOfModel();
        Edit(folder.File("config.json"), config => config["model_type"] = "qwen2");

        Refused<NotSupportedException>(folder.Path, "'qwen2'; the types that are implemented are llama and mistral");
    }

    [TestMethod]
    [DataRow(0.0)]
    [DataRow(0.000001)]
    [DataRow(0.001)]
    [DataRow(0.5)]
    [DataRow(0.9999999)]
    public void AFileCutShort(double share)
    {
        using TemporaryFolder folder = CopyOfModel();
        using (FileStream weights = File.OpenWrite(folder.File("model.safetensors")))
        {
            weights.SetLength((long)(weights.Length * share));
        }

        Refused<InvalidDataException>(folder.Path, share > 0 ? "is not a whole safetensors file" : "model.safetensors' is empty");
    }

    [TestMethod]
    [DataRow("config.json")]
    [DataRow("tokenizer.json")]
    public void AFileThatIsNotJson(string file)
    {
        using TemporaryFolder folder = CopyOfModel();
        File.WriteAllText(folder.File(file), File.ReadAllText(folder.File(file))[..100]);

        Refused<InvalidDataException>(folder.Path, file);
    }

    [TestMethod]
    public void AnEmptyFolder()
    {
        using var folder = new TemporaryFolder();

        Refused<FileNotFoundException>(folder.Path, "has no config.json");
    }

    [TestMethod]
    public void AFolderThatIsAFile() =>
        Refused<DirectoryNotFoundException>(Path.Combine(TestData.TinyLlama, "config.json"), "is one file of a model");

    [TestMethod]
    public void WeightsOfAnotherShape()
    {
        using TemporaryFolder folder = CopyOfModel();
        Edit(folder.File("config.json"), config => config["intermediate_size"] = 360);

        string message = Refused<InvalidDataException>(folder.Path,
            "model.layers.0.mlp.gate_proj.weight is [352, 128] and the configuration asks for [360, 128]");

        // 18 matrices in 6 layers, of which ten are listed.
        Assert.Contains("model.layers.3.mlp.down_proj.weight", message);
        Assert.Contains("and 8 more", message);
    }

    [TestMethod]
    public void ATokenizerOfAnotherVocabulary()
    {
        using TemporaryFolder folder = CopyOfModel();
        File.Delete(folder.File("special_tokens_map.json"));
        foreach (string file in new[] { "tokenizer.json", "tokenizer_config.json" })
        {
            File.Copy(Path.Combine(TestData.Require(TestData.Tokenizers("mistral-v1")), file), folder.File(file), overwrite: true);
        }

        Refused<ArgumentException>(folder.Path, "has 32000 tokens and the model 1024");
    }

    [TestMethod]
    [DataRow(nameof(Options.PromptColumnName))]
    [DataRow(nameof(Options.ResponseColumnName))]
    public void AColumnThatIsNotThere(string name)
    {
        Options options = TinyTask.Options();
        typeof(Options).GetProperty(name)!.SetValue(options, "Nothing");

        string message = Refused<ArgumentOutOfRangeException>(options, TinyTask.Data(_mlContext), "Nothing");

        Assert.Contains(name, message);
        Assert.Contains("Prompt", message);
    }

    [TestMethod]
    public void AColumnOfAnotherType()
    {
        IDataView data = _mlContext.Data.LoadFromEnumerable(new[] { new { Prompt = 1.5f, Response = "x" } });

        Refused<ArgumentOutOfRangeException>(TinyTask.Options(), data, "Prompt");
    }

    [TestMethod]
    public void DataWithoutARow()
    {
        Refused<InvalidOperationException>(
            TinyTask.Options(), _mlContext.Data.LoadFromEnumerable(Array.Empty<TinyTask.Row>()), "no row is left");
        Refused<InvalidOperationException>(
            TinyTask.Options(), _mlContext.Data.LoadFromEnumerable(new TinyTask.Row[] { new() { Prompt = "a" }, new() { Response = "b" } }),
            "of 2 rows, 2 have an empty prompt or response");
    }

    [TestMethod]
    public void ARowLongerThanTheModelsPositions()
    {
        var row = new TinyTask.Row
        {
            Prompt = string.Concat(Enumerable.Repeat("apples ", 600)),
            Response = string.Concat(Enumerable.Repeat("pears ", 600))
        };

        Refused<ArgumentException>(TinyTask.Options(), _mlContext.Data.LoadFromEnumerable(new[] { row }),
            "the model has 512 positions. Lower MaxPromptLength (now 512)");
    }

    [TestMethod]
    public void AValidationRowLongerThanTheModelsPositions()
    {
        var row = new TinyTask.Row
        {
            Prompt = string.Concat(Enumerable.Repeat("apples ", 600)),
            Response = string.Concat(Enumerable.Repeat("pears ", 600))
        };
        IDataView validation = _mlContext.Data.LoadFromEnumerable(new[] { TinyTask.Rows[0], row });
        Options options = TinyTask.Options();
        options.Progress = new Listener(_ => Assert.Fail("Training had begun."));

        string message = Assert.ThrowsExactly<ArgumentException>(
            () => _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext), validation)).Message;

        Assert.Contains("validationData: row 2 has 512 tokens of prompt", message);
    }

    [TestMethod]
    public void APromptLongerThanTheModelsPositions()
    {
        using SorsaTransformer model = _mlContext.Sorsa().LoadModel(TestData.TinyLlama);

        string message = Assert.ThrowsExactly<ArgumentException>(
            () => model.Generate(string.Concat(Enumerable.Repeat("apples ", 600)))).Message;

        Assert.Contains("the model has 512 positions", message);
    }

    [TestMethod]
    [DataRow("query")]
    [DataRow("Q_PROJ")]
    [DataRow("proj")]
    [DataRow("")]
    [DataRow(null)]
    public void ATargetThatMatchesNothing(string? target)
    {
        Options options = TinyTask.Options();
        options.TargetModules = ["q_proj", target!];

        RefusedTargets(options, $"TargetModules: '{target}' matches no projection");
    }

    [TestMethod]
    public void NoTargets()
    {
        Options options = TinyTask.Options();
        options.TargetModules = [];

        RefusedTargets(options, "TargetModules");
    }

    private void RefusedTargets(Options options, string problem)
    {
        string message = Assert.ThrowsExactly<ArgumentException>(() => _mlContext.Sorsa().FineTune(options)).Message;

        Assert.Contains(problem, message);
        Assert.IsTrue(new Options().TargetModules.All(name => message.Contains(name, StringComparison.Ordinal)), message);
    }

    [TestMethod]
    public void ATrainingTypeInWhichGradientsVanish()
    {
        Options options = TinyTask.Options();
        options.ComputeType = WeightType.Float16;

        Refused<ArgumentException>(options, TinyTask.Data(_mlContext), "Train in Float32 or BFloat16");
    }

    [TestMethod]
    public void ACheckpointInWhoseTypeGradientsVanish()
    {
        using var folder = new TemporaryFolder();
        Options options = TinyTask.Options();
        (options.MaxSteps, options.SavedType) = (1, WeightType.Float16);
        using (SorsaTransformer model = _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext)))
        {
            model.SaveHuggingFace(folder.File("half"));
        }

        options.ModelFolder = folder.File("half");
        options.ComputeType = WeightType.Checkpoint;

        Refused<ArgumentException>(options, TinyTask.Data(_mlContext),
            "ComputeType is Checkpoint, and the checkpoint is stored in Float16");
    }

    [TestMethod]
    public void ArgumentsOfLoadModel()
    {
        SorsaCatalog sorsa = _mlContext.Sorsa();
        string folder = TestData.TinyLlama;
        foreach ((string name, string part, Action load) in new (string, string, Action)[]
        {
            ("modelFolder", "empty", () => sorsa.LoadModel(" ")),
            ("promptColumnName", "empty", () => sorsa.LoadModel(folder, promptColumnName: "")),
            ("outputColumnName", "empty", () => sorsa.LoadModel(folder, outputColumnName: "")),
            ("computeType", "is 7; it must be one of Checkpoint, Float32", () => sorsa.LoadModel(folder, computeType: (WeightType)7)),
            ("TopK", "is 3 and Temperature is 0", () => sorsa.LoadModel(folder, generation: new GenerationOptions { TopK = 3 })),
        })
        {
            ArgumentException error = Assert.Throws<ArgumentException>(load, name);

            Assert.AreEqual(name, error.ParamName);
            Assert.Contains(part, error.Message);
        }
    }

    [TestMethod]
    public void NothingInsteadOfOptionsOrData()
    {
        SorsaFineTuningTrainer trainer = _mlContext.Sorsa().FineTune(TinyTask.Options());

        Assert.AreEqual(
            "options", Assert.ThrowsExactly<ArgumentNullException>(() => _mlContext.Sorsa().FineTune((Options)null!)).ParamName);
        Assert.AreEqual(
            "trainData", Assert.ThrowsExactly<ArgumentNullException>(() => trainer.Fit(null!, TinyTask.Data(_mlContext))).ParamName);
        Assert.AreEqual(
            "validationData", Assert.ThrowsExactly<ArgumentNullException>(() => trainer.Fit(TinyTask.Data(_mlContext), null!)).ParamName);
        Assert.AreEqual("input", Assert.ThrowsExactly<ArgumentNullException>(() => trainer.Fit(null!)).ParamName);
    }

    [TestMethod]
    public void AGpuThatIsNotThere()
    {
        var mlContext = new MLContext { GpuDeviceId = 99, FallbackToCpu = false };

        Assert.Contains("MLContext.GpuDeviceId is 99", Assert.ThrowsExactly<InvalidOperationException>(
            () => mlContext.Sorsa().FineTune(TinyTask.Options()).Fit(TinyTask.Data(mlContext))).Message);
    }

    [TestMethod]
    public void AWeightThatIsNotANumber()
    {
        using TemporaryFolder folder = CopyOfModel();
        using (FileStream weights = File.OpenWrite(folder.File("model.safetensors")))
        {
            // The last tensor of the file; bfloat16's NaN.
            weights.Seek(-2, SeekOrigin.End);
            weights.Write([0xC0, 0x7F]);
        }

        Options options = TinyTask.Options();
        options.ModelFolder = folder.Path;
        options.TargetModules = new Options().TargetModules;

        Assert.ThrowsExactly<ArithmeticException>(() => _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext)));
    }

    [TestMethod]
    public void ALearningRateThatDiverges()
    {
        Options options = TinyTask.Options();
        options.LearningRate = 1e18;
        options.WarmupRatio = 0;
        options.MaxSteps = 2;

        Assert.ThrowsExactly<ArithmeticException>(() => _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext)));
    }

    [TestMethod]
    public void BatchesBeyondTheDataTrainOnAllOfThem()
    {
        Options options = TinyTask.Options();
        options.BatchSize = int.MaxValue;
        options.GradientAccumulationSteps = int.MaxValue;
        options.NumberOfEpochs = int.MaxValue;
        options.MaxSteps = 2;
        var steps = new List<int>();
        options.Progress = new Listener(progress => steps.Add(progress.Step));

        using SorsaTransformer model = _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext));

        Assert.AreEqual("1 2", string.Join(' ', steps));
    }

    private static TemporaryFolder CopyOfModel()
    {
        var folder = new TemporaryFolder();
        foreach (string file in Directory.GetFiles(TestData.TinyLlama))
        {
            File.Copy(file, folder.File(Path.GetFileName(file)));
        }

        return folder;
    }

    private static void Edit(string path, Action<JsonObject> edit)
    {
        JsonObject json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        edit(json);
        File.WriteAllText(path, json.ToJsonString());
    }

    private string Refused<T>(string modelFolder, string message)
        where T : Exception
    {
        Options options = TinyTask.Options();
        options.ModelFolder = modelFolder;
        Assert.Contains(message, Assert.ThrowsExactly<T>(() => _mlContext.Sorsa().LoadModel(modelFolder)).Message);
        return Refused<T>(options, TinyTask.Data(_mlContext), message);
    }

    /// <summary>Refused with the message, and before a step was taken.</summary>
    private string Refused<T>(Options options, IDataView data, string message)
        where T : Exception
    {
        options.Progress = new Listener(_ => Assert.Fail("Training had begun."));

        string said = Assert.ThrowsExactly<T>(() => _mlContext.Sorsa().FineTune(options).Fit(data)).Message;

        Assert.Contains(message, said);
        return said;
    }

    private sealed class Listener(Action<SorsaTrainingProgress> act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => act(value);
    }
}
