using System.Xml.Linq;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Reports;

/// <summary>The page about a training: what stands in it, and that nothing else does.</summary>
[TestClass]
[TestCategory("Reports")]
public sealed class TrainingReportTests
{
    private static readonly XNamespace s_svg = "http://www.w3.org/2000/svg";

    private static readonly string[] s_active = ["script", "img", "link", "iframe", "object", "image", "foreignObject"];

    private readonly MLContext _mlContext = new();

    [TestMethod]
    public void ThePageHasCurvesDataMergeAnswersAndOptions()
    {
        using var folder = new TemporaryFolder();
        Options options = TinyTask.Options();
        (options.NumberOfEpochs, options.MaxPromptLength, options.PromptTemplate) = (2, 12, PromptTemplate.Format("{prompt}\n"));
        using SorsaTransformer trained = _mlContext.Sorsa().FineTune(options)
            .Fit(TinyTask.Data(_mlContext), _mlContext.Data.TakeRows(TinyTask.Data(_mlContext), 3));
        IReadOnlyList<AnswerComparison> answers =
            _mlContext.Sorsa().CompareAnswers(trained, options, [TinyTask.Rows[0].Prompt, TinyTask.Rows[1].Prompt]);
        XElement page = Page(trained, folder, answers);

        Assert.AreEqual("loss rate norm orthonormality speed", Figures(page));
        foreach (XElement figure in page.Descendants("figure"))
        {
            Assert.AreEqual(
                "desk phone", string.Join(' ', figure.Descendants(s_svg + "svg").Attributes("class").Select(name => name.Value)));
        }

        DataStatistics data = trained.Training!.TrainData;
        Assert.IsGreaterThan(0, data.Prompts!.CutTexts);
        Assert.AreEqual("12|3", Cells(page, "Rows"));
        Assert.AreEqual("–|3", Cells(page, "Rows that are trained on, too"));
        Assert.StartsWith(
            $"{data.Prompts.CutTexts}, {100.0 * data.Prompts.CutTexts / 12:0.#} % (limit 12); {data.Prompts.CutTokens} tokens lost|",
            Cells(page, "Prompt: cut"));
        Assert.StartsWith("none (limit 512)|", Cells(page, "Response: cut"));
        Assert.StartsWith("6|", Cells(page, "q_proj"));
        Assert.AreEqual("0.005", Cells(page, "LearningRate"));
        Assert.AreEqual("{prompt}\n", Cells(page, "PromptTemplate"));
        Assert.AreEqual("Shuffled", Cells(page, "RowOrder"));

        // Every option that was set is marked, and no other one.
        string[] marked = [.. page.Descendants("tr").Where(row => row.Attribute("class")?.Value == "best")
            .Select(row => row.Element("td")!.Value).Order(StringComparer.Ordinal)];
        Assert.AreEqual(
            "BatchSize Generation LearningRate MaxPromptLength NumberOfEpochs PromptTemplate Rank TargetModules", string.Join(' ', marked));

        using SorsaTransformer before = _mlContext.Sorsa().LoadModel(
            TestData.TinyLlama, promptTemplate: options.PromptTemplate, generation: options.Generation, maxPromptLength: 12);
        XElement first = page.Descendants("dl").First(list => list.Attribute("class")?.Value == "answer");
        Assert.AreEqual(
            new AnswerComparison(
                TinyTask.Rows[0].Prompt, before.Generate(TinyTask.Rows[0].Prompt), trained.Generate(TinyTask.Rows[0].Prompt)),
            answers[0]);
        Assert.AreEqual(answers[0].Prompt, first.Elements("dd").First().Value);
        Assert.HasCount(2, page.Descendants("dl").Where(list => list.Attribute("class")?.Value == "answer"));
    }

    /// <summary>A page is text: what comes from models and users is no markup, and nothing is fetched or run.</summary>
    [TestMethod]
    public void TextsOfOthersStayTexts()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = TinyTask.Fit(_mlContext);
        const string Bad = "<script>alert(1)</script><img src=\"http://example.org/x\">\u0001\ud800\n]]>&amp;";
        XElement page = Page(trained, folder, [new AnswerComparison(Bad, Bad, "")], title: Bad);

        string[] elements = [.. page.DescendantsAndSelf().Select(element => element.Name.LocalName).Distinct()];
        Assert.IsEmpty(elements.Intersect(s_active, StringComparer.OrdinalIgnoreCase));
        Assert.IsEmpty(page.Descendants().Attributes().Where(attribute =>
            attribute.Name.LocalName is "src" or "href" || attribute.Name.LocalName.StartsWith("on", StringComparison.OrdinalIgnoreCase)));
        Assert.Contains("<script>alert(1)</script>", page.Descendants("h1").Single().Value);
        Assert.DoesNotContain("<script", File.ReadAllText(folder.File("report.html")));
        Assert.AreEqual("nothing", page.Descendants("dd").Single(text => text.Attribute("class")?.Value == "nothing").Value);
    }

    /// <summary>A method without singular vectors, without validation rows, that took one step.</summary>
    [TestMethod]
    public void WhatATrainingDoesNotHaveIsLeftOut()
    {
        using var folder = new TemporaryFolder();
        Options options = TinyTask.Options();
        (options.Method, options.MaxSteps) = (FineTuningMethod.Lora, 1);
        using SorsaTransformer trained = _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext));
        XElement page = Page(trained, folder, null);

        Assert.AreEqual("loss rate norm speed", Figures(page));
        Assert.AreEqual("12", Cells(page, "Rows"));
        Assert.IsFalse(page.Descendants("h2").Any(heading => heading.Value.StartsWith("Answers", StringComparison.Ordinal)));
        Assert.Contains("none to validate on", page.Descendants("dl").First().Value);
    }

    [TestMethod]
    public void AModelThatWasLoadedHasNone()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = _mlContext.Sorsa().LoadModel(TestData.TinyLlama);

        var error = Assert.ThrowsExactly<InvalidOperationException>(() => model.SaveReport(folder.File("report.html")));

        Assert.StartsWith("The model was loaded, and a report is about a training", error.Message);
        Assert.IsNull(model.Training);
        Assert.IsEmpty(Directory.GetFiles(folder.Path));
    }

    [TestMethod]
    public void ALongTrainingStaysASmallPage()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = TinyTask.Fit(_mlContext);
        SorsaTrainingProgress last = trained.Training!.Steps[^1];
        SorsaTrainingRecord record = trained.Training with
        {
            TotalSteps = 100_000,
            Losses = [.. Enumerable.Range(1, 100_000).Select(step => 2 + Math.Sin(step))],
            Steps = [.. Enumerable.Range(1, 100_000).Select(step => last with { Step = step, TotalSteps = 100_000 })],
        };
        using var stream = new MemoryStream();
        Sorsa.Sweeps.Report.TrainingPage.Write(record, null, [], "long", stream);

        Assert.IsLessThan(600_000, stream.Length);
    }

    private static XElement Page(
        SorsaTransformer model, TemporaryFolder folder, IReadOnlyList<AnswerComparison>? answers, string? title = null)
    {
        model.SaveReport(folder.File("report.html"), answers, title);
        string text = File.ReadAllText(folder.File("report.html"));
        return XElement.Parse(text[text.IndexOf("<html", StringComparison.Ordinal)..], LoadOptions.PreserveWhitespace);
    }

    private static string Figures(XElement page) =>
        string.Join(' ', page.Descendants("figure").Select(figure => figure.Attribute("id")!.Value));

    /// <summary>What stands in a table's row behind its first cell.</summary>
    private static string Cells(XElement page, string name) => string.Join('|', page.Descendants("tr")
        .Single(row => row.Element("td")?.Value == name).Elements("td").Skip(1).Select(cell => cell.Value));
}
