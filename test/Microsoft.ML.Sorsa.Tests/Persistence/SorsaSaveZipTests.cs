using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Transforms.Text;

namespace Microsoft.ML.Sorsa.Tests.Persistence;

/// <summary>SorsaTransformer.Save, SaveZip and LoadZip: ML.NET's zip, as a file that is whole or not there.</summary>
[TestClass]
[TestCategory("Persistence")]
public sealed class SorsaSaveZipTests
{
    private static readonly MLContext s_ml = new(seed: 1);
    private static SorsaTransformer s_model = null!;
    private static string[] s_answers = [];

    private static IDataView Data => s_ml.Data.TakeRows(TinyTask.Data(s_ml), 3);

    [ClassInitialize]
    public static void Open(TestContext context)
    {
        s_model = s_ml.Sorsa().LoadModel(TestData.TinyLlama, generation: TinyTask.Options().Generation);
        s_answers = TinyTask.Answers(s_model, Data);
    }

    [ClassCleanup]
    public static void Free() => s_model.Dispose();

    [TestMethod]
    public void WhatSaveWritesLoadZipAndMLNetRead()
    {
        using var folder = new TemporaryFolder();
        string zip = folder.File("model.zip");
        s_model.Save(zip);

        using SorsaTransformer loaded = new MLContext().Sorsa().LoadZip(zip);
        using var stock = (SorsaTransformer)new MLContext().Model.Load(zip, out DataViewSchema schema);

        CollectionAssert.AreEqual(s_answers, TinyTask.Answers(loaded, Data));
        CollectionAssert.AreEqual(s_answers, TinyTask.Answers(stock, Data));
        Assert.AreEqual(s_answers[0], loaded.Generate(TinyTask.Rows[0].Prompt));
        Assert.AreEqual("Prompt", schema.Single().Name);
        Assert.AreEqual(TextDataViewType.Instance, schema.Single().Type);
        CollectionAssert.AreEqual(new[] { zip }, Directory.GetFileSystemEntries(folder.Path));
    }

    /// <summary>A reader of a pipe waits for its writer, which never comes.</summary>
    [TestMethod]
    [Timeout(120_000, CooperativeCancellation = true)]
    public void APipeIsNotOpenedAsAZip()
    {
        using var folder = new TemporaryFolder();
        Files.FilesOfOthersTests.Pipe(folder.File("pipe.zip"));
        File.WriteAllText(folder.File("empty.zip"), "");

        foreach (string zip in new[] { folder.File("pipe.zip"), folder.File("empty.zip") })
        {
            Assert.Contains($"'{zip}' is empty, or a pipe or a device", Assert.Throws<InvalidDataException>(
                () => s_ml.Sorsa().LoadZip(zip)).Message);
        }
    }

    [TestMethod]
    public void TheSchemaThatIsGivenIsSaved()
    {
        using var folder = new TemporaryFolder();
        string zip = folder.File("model.zip");
        File.WriteAllText(zip, "an older one");
        s_model.Save(zip, Data.Schema);

        using var stock = (IDisposable)s_ml.Model.Load(zip, out DataViewSchema schema);

        Assert.AreEqual("Prompt, Response", string.Join(", ", schema.Select(column => column.Name)));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void OfAPipelineLoadZipGivesThePartThatAnswers(bool withSchema)
    {
        using var folder = new TemporaryFolder();
        string zip = folder.File("pipeline.zip");
        ITransformer copy = s_ml.Transforms.CopyColumns("Copy", "Prompt").Fit(Data);
        ITransformer upper = s_ml.Transforms.Text
            .NormalizeText("Reply", "Reply", TextNormalizingEstimator.CaseMode.Upper, keepPunctuations: true)
            .Fit(s_model.Transform(Data));
        var inner = new TransformerChain<ITransformer>(s_model, upper);
        s_ml.Sorsa().SaveZip(new TransformerChain<ITransformer>(copy, inner), withSchema ? Data.Schema : null, zip);

        ITransformer whole = s_ml.Model.Load(zip, out DataViewSchema schema);
        using var network = (IDisposable)whole;
        using SorsaTransformer part = s_ml.Sorsa().LoadZip(zip);

        Assert.AreEqual(withSchema, schema is not null);
        CollectionAssert.AreEqual(s_answers.Select(answer => answer.ToUpperInvariant()).ToArray(), TinyTask.Answers(whole, Data));
        CollectionAssert.AreEqual(s_answers, TinyTask.Answers(part, Data));
    }

    [TestMethod]
    public void AZipWithNoneOrTwoOfThemIsRefused()
    {
        using var folder = new TemporaryFolder();
        string none = folder.File("none.zip"), two = folder.File("two.zip");
        s_ml.Model.Save(s_ml.Transforms.CopyColumns("Copy", "Prompt").Fit(Data), Data.Schema, none);
        s_ml.Sorsa().SaveZip(new TransformerChain<ITransformer>(s_model, s_model), null, two);

        foreach ((string zip, string count) in new[] { (none, "holds 0 models"), (two, "holds 2 models") })
        {
            string message = Assert.ThrowsExactly<InvalidDataException>(() => s_ml.Sorsa().LoadZip(zip)).Message;
            Assert.Contains($"'{zip}' {count}", message);
            Assert.Contains("mlContext.Model.Load", message);
        }
    }

    [TestMethod]
    public void WhatIsNoZipIsNamed()
    {
        using var folder = new TemporaryFolder();
        foreach ((string content, string what) in new[]
        {
            ("<!DOCTYPE html><html>not found</html>", "is a web page"), ("", "is empty"), ("GGUF\u0003", "is a GGUF file"),
            ("something else", "is no model zip"), ("PK\u0003\u0004", "cannot be loaded"),
        })
        {
            string zip = folder.File("it.zip");
            File.WriteAllText(zip, content);
            string message = Assert.ThrowsExactly<InvalidDataException>(() => s_ml.Sorsa().LoadZip(zip)).Message;
            Assert.Contains($"'{zip}' {what}", message);
        }

        Assert.Contains("LoadModel", Assert.ThrowsExactly<FileNotFoundException>(() => s_ml.Sorsa().LoadZip(TestData.TinyLlama)).Message);
        Assert.Contains(
            "does not exist", Assert.ThrowsExactly<FileNotFoundException>(() => s_ml.Sorsa().LoadZip(folder.File("none.zip"))).Message);
    }
}
