using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Persistence;

/// <summary>What earlier versions wrote is read: see test/data/formats-0.1/README.md.</summary>
[TestClass]
[TestCategory("Formats")]
[TestCategory("Persistence")]
public sealed class FormatsTests
{
    private static readonly MLContext s_context = new();
    private static readonly string s_files = Path.Combine(TestData.Root, "test", "data", "formats-0.1");
    private static readonly PromptTemplate s_template = PromptTemplate.Format("{prompt} = ");

    private static readonly Row[] s_rows =
    [
        .. Enumerable.Range(0, 24).Select(i => new Row
        {
            Prompt = FormattableString.Invariant($"{i} + {i * 7 % 13}"),
            Response = FormattableString.Invariant($"{i + (i * 7 % 13)}."),
        }),
    ];

    private static readonly Dictionary<string, string[]> s_answers =
        JsonSerializer.Deserialize<Dictionary<string, string[]>>(File.ReadAllText(Path.Combine(s_files, "answers.json")))!;

    public static IEnumerable<object[]> Adapters =>
        s_answers.Keys.Select(method => new object[] { method, "adapter-" + method.ToLowerInvariant() }).Append(["Pissa", "peft-pissa"]);

    [TestMethod]
    public void AZipAnswersAsItDid()
    {
        using var model = (SorsaTransformer)s_context.Model.Load(Path.Combine(s_files, "model.zip"), out _);

        CollectionAssert.AreEqual(s_answers["Sorsa"], Answers(model));
    }

    [TestMethod]
    [DynamicData(nameof(Adapters))]
    public void AnAdapterAnswersAsItDid(string method, string folder)
    {
        using var temporary = new TemporaryFolder();
        using SorsaTransformer model = s_context.Sorsa().LoadModel(
            Base(temporary), promptTemplate: s_template, generation: new GenerationOptions { MaxNewTokens = 12 });
        model.LoadAdapter(method, Path.Combine(s_files, folder));
        model.UseAdapter(method);

        CollectionAssert.AreEqual(s_answers[method], Answers(model));
    }

    [TestMethod]
    public void AStudyGoesOn()
    {
        using var temporary = new TemporaryFolder();
        string study = temporary.File("study.db");
        File.Copy(Path.Combine(s_files, "study.db"), study);

        using ExperimentResult result = s_context.Sorsa().CreateExperiment()
            .SetTrainer(new SorsaFineTuningTrainer.Options
            {
                ModelFolder = Base(temporary),
                PromptTemplate = s_template,
                BatchSize = 8,
                NumberOfEpochs = 4,
                LearningRate = 2e-3,
                Rank = 4,
                Generation = new GenerationOptions { MaxNewTokens = 12 },
            })
            .SetDataset(s_context.Data.LoadFromEnumerable(s_rows.Take(16)), s_context.Data.LoadFromEnumerable(s_rows.Skip(16)))
            .SetSearchSpace(new SorsaSearchSpace
            {
                ["Gamma"] = new UniformDoubleOption(1e-5, 1e-2, logBase: true),
                ["Rank"] = new UniformIntOption(2, 8),
                ["Method"] = new ChoiceOption(FineTuningMethod.Sorsa, FineTuningMethod.Lora),
            })
            .SetMaxModelToExplore(5).SetThreadsPerTrial(1).SetStudy(study).Run();

        // The four trials are read, not run again: their losses are those of the machine that wrote them, to the last digit.
        using JsonDocument table = JsonDocument.Parse(File.ReadAllText(Path.Combine(s_files, "study.json")));
        Assert.HasCount(5, result.Trials);
        foreach ((TrialResult trial, JsonElement written) in result.Trials.Zip(table.RootElement.EnumerateArray()))
        {
            Assert.AreEqual(written.GetProperty("Metric").GetDouble(), trial.Metric);
            CollectionAssert.AreEqual(
                written.GetProperty("Curve").EnumerateArray().Select(loss => loss.GetDouble()).ToList(),
                trial.Curve.Select(point => point.Loss).ToList());
        }
    }

    /// <summary>The golden model with the tokenizer.</summary>
    private static string Base(TemporaryFolder temporary)
    {
        string folder = Directory.CreateDirectory(temporary.File("base")).FullName;
        string golden = TestData.Golden("models", "llama-gqa-tied");
        string[] files = [
            Path.Combine(golden, "config.json"), Path.Combine(golden, "model.safetensors"),
            .. Directory.GetFiles(Path.Combine(s_files, "base"))];
        foreach (string file in files)
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        return folder;
    }

    private static string[] Answers(SorsaTransformer model) => [.. s_rows.Take(4).Select(row => model.Generate(row.Prompt))];

    private sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }
}
