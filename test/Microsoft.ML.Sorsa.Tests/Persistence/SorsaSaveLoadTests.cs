using System.Diagnostics;
using System.IO.Compression;
using System.Reflection;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Transforms.Text;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Persistence;

/// <summary>Fine-tuned models through ML.NET's own mlContext.Model.Save and Load; nobody registers anything.</summary>
[TestClass]
[TestCategory("Persistence")]
public sealed class SorsaSaveLoadTests
{
    private const string ZipVariable = "SORSA_TEST_FRESH_PROCESS_ZIP";
    private const string ZipFile = "model.zip";
    private const string AnswersFile = "answers.json";

    private static readonly MLContext s_ml = new(seed: 1);
    private static SorsaTransformer? s_tuned;

    private static SorsaTransformer Tuned => s_tuned ??= TinyTask.Fit(s_ml);

    private static IDataView Data => s_ml.Data.TakeRows(TinyTask.Data(s_ml), 5);

    [ClassCleanup]
    public static void Free() => s_tuned?.Dispose();

    [TestMethod]
    public void AloneItGivesTheSameAnswersAndTheSameBits()
    {
        using MemoryStream zip = Save(Tuned);
        using var loaded = (SorsaTransformer)Load(zip);

        CollectionAssert.AreEqual(Answers(Tuned), Answers(loaded));
        CollectionAssert.AreEqual(TinyTask.LogitBits(Network(Tuned)), TinyTask.LogitBits(Network(loaded)));

        using SorsaTransformer start = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        CollectionAssert.AreNotEqual(TinyTask.LogitBits(Network(start)), TinyTask.LogitBits(Network(loaded)), "it was not trained");
    }

    [TestMethod]
    public void SavedAgainItIsTheSameFile()
    {
        using MemoryStream zip = Save(Tuned);
        using var loaded = (SorsaTransformer)Load(zip);
        using MemoryStream again = Save(loaded);

        Dictionary<string, byte[]> first = Entries(zip), second = Entries(again);
        CollectionAssert.AreEqual(first.Keys.Order(StringComparer.Ordinal).ToArray(), second.Keys.Order(StringComparer.Ordinal).ToArray());
        foreach ((string name, byte[] content) in first)
        {
            Assert.IsTrue(content.AsSpan().SequenceEqual(second[name]), name);
        }
    }

    [TestMethod]
    public void ItsEntriesAreStoredAndItsWeightsAreBFloat16()
    {
        using MemoryStream zip = Save(Tuned);
        using var archive = new ZipArchive(zip);
        string folder = Path.GetDirectoryName(archive.Entries.Single(entry => entry.Name == "model.safetensors").FullName)!;
        var own = archive.Entries.Where(entry => Path.GetDirectoryName(entry.FullName) == folder && entry.Name != "Model.key").ToList();

        Assert.IsTrue(own.Any(entry => entry.Name == "config.json") && own.Any(entry => entry.Name == "tokenizer.json"));
        foreach (ZipArchiveEntry entry in own)
        {
            Assert.AreEqual(entry.Length, entry.CompressedLength, entry.FullName);
        }

        long parameters = Network(Tuned).NamedWeights.Sum(weight => weight.Value.numel());
        long length = own.Single(entry => entry.Name == "model.safetensors").Length;
        Assert.IsTrue(length > 2 * parameters && length < 2 * parameters + 100_000, $"{length} bytes for {parameters} parameters");
    }

    [TestMethod]
    [DataRow(WeightType.Float32, WeightType.Float32)]
    [DataRow(WeightType.Float16, WeightType.Float32)]
    [DataRow(WeightType.BFloat16, WeightType.BFloat16)]
    [DataRow(WeightType.Float32, WeightType.BFloat16)]
    public void WhateverIsSavedWhatRunsIsWhatIsLoaded(WeightType savedType, WeightType computeType)
    {
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        options.SavedType = savedType;
        options.ComputeType = computeType;
        options.MaxSteps = 1;
        using SorsaTransformer tuned = s_ml.Sorsa().FineTune(options).Fit(Data);
        using MemoryStream zip = Save(tuned);
        using var loaded = (SorsaTransformer)Load(zip);

        Assert.AreEqual(computeType.ToScalarType(ScalarType.BFloat16), Network(loaded).Type);
        Assert.AreEqual(savedType.ToScalarType(ScalarType.BFloat16), Network(loaded).StoredType);
        CollectionAssert.AreEqual(TinyTask.LogitBits(Network(tuned)), TinyTask.LogitBits(Network(loaded)));
    }

    [TestMethod]
    public void InAChainWithOthersBeforeAndBehindItComesBack()
    {
        ITransformer chain = Chain();
        string[] expected = Answers(chain);
        using MemoryStream zip = Save(chain);
        ITransformer loaded = Load(zip);
        using var network = ((IEnumerable<ITransformer>)loaded).OfType<SorsaTransformer>().Single();

        CollectionAssert.AreEqual(expected, Answers(loaded));
        CollectionAssert.AreEqual(Answers(Tuned).Select(answer => answer.ToUpperInvariant()).ToArray(), expected);
        using PredictionEngine<TinyTask.Row, TinyTask.Answered> engine = Engine(loaded);
        CollectionAssert.AreEqual(expected, TinyTask.Rows.Take(5).Select(row => engine.Predict(row).Reply).ToArray());
    }

    [TestMethod]
    public void TwoModelsInOneZipAreKeptApart()
    {
        using SorsaTransformer start = s_ml.Sorsa().LoadModel(
            TestData.TinyLlama, "Prompt", "Before", generation: TinyTask.Options().Generation);
        var chain = new TransformerChain<ITransformer>(start, Tuned);
        using MemoryStream zip = Save(chain);
        ITransformer loaded = Load(zip);
        using var both = (IDisposable)loaded;

        CollectionAssert.AreEqual(Answers(start, "Before"), Answers(loaded, "Before"));
        CollectionAssert.AreEqual(Answers(Tuned), Answers(loaded));
    }

    /// <summary>The test starts this program again with <see cref="ZipVariable"/> set, and there it is the other half of itself.</summary>
    [TestMethod]
    public async Task AFreshProcessLoadsItWithMLNetAlone()
    {
        if (Environment.GetEnvironmentVariable(ZipVariable) is { } given)
        {
            AnswerAs(given);
            return;
        }

        using var folder = new TemporaryFolder();
        ITransformer chain = Chain();
        s_ml.Model.Save(chain, Data.Schema, folder.File(ZipFile));
        File.WriteAllText(folder.File(AnswersFile), JsonSerializer.Serialize(Answers(chain)));

        string program = Path.Combine(AppContext.BaseDirectory,
            typeof(SorsaSaveLoadTests).Assembly.GetName().Name! + (OperatingSystem.IsWindows() ? ".exe" : ""));
        var start = new ProcessStartInfo(
            program,
            ["--filter", $"FullyQualifiedName~{nameof(SorsaSaveLoadTests)}.{nameof(AFreshProcessLoadsItWithMLNetAlone)}",
                "--results-directory", folder.Path])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[ZipVariable] = folder.Path;
        using Process fresh = Process.Start(start)!;
        Task<string> errors = fresh.StandardError.ReadToEndAsync();
        string output = await fresh.StandardOutput.ReadToEndAsync() + await errors;
        await fresh.WaitForExitAsync();
        Assert.AreEqual(0, fresh.ExitCode, output);
        Assert.IsTrue(File.Exists(folder.File("done")), output);
    }

    private static void AnswerAs(string folder)
    {
        ITransformer loaded = new MLContext().Model.Load(Path.Combine(folder, ZipFile), out DataViewSchema schema);
        using var model = (IDisposable)loaded;

        Assert.IsTrue(schema.Any(column => column.Name == "Prompt"));
        CollectionAssert.AreEqual(
            JsonSerializer.Deserialize<string[]>(File.ReadAllText(Path.Combine(folder, AnswersFile))), Answers(loaded));
        File.WriteAllText(Path.Combine(folder, "done"), "");
    }

    [TestMethod]
    public void DamageIsNamed()
    {
        using MemoryStream zip = Save(Tuned);
        foreach ((string entry, Func<byte[], byte[]?> edit, string part) in new (string, Func<byte[], byte[]?>, string)[]
        {
            ("model.safetensors", content => content[..^1], "'model.safetensors'"),
            ("model.safetensors", _ => null, "'model.safetensors' of the model zip is missing"),
            ("config.json", content => [.. Enumerable.Repeat((byte)'x', content.Length)], "config.json"),
            ("tokenizer.json", _ => null, "'tokenizer.json' of the model zip is missing"),
        })
        {
            using MemoryStream damaged = ModelZip.Repack(zip, (name, content) => name == entry ? edit(content) : content);

            // ML.NET calls a loader by reflection and leaves the wrapper on.
            Exception? error = Assert.ThrowsExactly<TargetInvocationException>(() => Load(damaged), entry).InnerException;
            Assert.IsInstanceOfType<InvalidDataException>(error);
            Assert.Contains(part, error.Message);
        }
    }

    private static CausalLM Network(SorsaTransformer transformer) => transformer.Model.Network;

    /// <summary>The tuned model with another transformer on either side.</summary>
    private static TransformerChain<ITransformer> Chain()
    {
        ITransformer before = s_ml.Transforms.CopyColumns("Copy", "Prompt").Fit(Data);
        ITransformer behind = s_ml.Transforms.Text
            .NormalizeText("Reply", "Reply", TextNormalizingEstimator.CaseMode.Upper, keepPunctuations: true)
            .Fit(Tuned.Transform(Data));
        return new TransformerChain<ITransformer>(before, Tuned, behind);
    }

    private static PredictionEngine<TinyTask.Row, TinyTask.Answered> Engine(ITransformer model) =>
        s_ml.Model.CreatePredictionEngine<TinyTask.Row, TinyTask.Answered>(
            model, new PredictionEngineOptions { OwnsTransformer = false });

    private static string[] Answers(ITransformer model, string column = "Reply") => [.. model.Transform(Data).GetColumn<string>(column)];

    private static MemoryStream Save(ITransformer model)
    {
        var zip = new MemoryStream();
        s_ml.Model.Save(model, Data.Schema, zip);
        return zip;
    }

    private static ITransformer Load(Stream zip)
    {
        zip.Position = 0;
        return new MLContext(seed: 1).Model.Load(zip, out _);
    }

    private static Dictionary<string, byte[]> Entries(Stream zip)
    {
        using var archive = new ZipArchive(zip, ZipArchiveMode.Read, leaveOpen: true);
        return archive.Entries.ToDictionary(entry => entry.FullName, entry =>
        {
            byte[] content = new byte[entry.Length];
            using Stream stream = entry.Open();
            stream.ReadExactly(content);
            return content;
        });
    }
}
