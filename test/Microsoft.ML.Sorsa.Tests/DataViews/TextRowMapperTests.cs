using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Text;

namespace Microsoft.ML.Sorsa.Tests.DataViews;

[TestClass]
[TestCategory("DataViews")]
public sealed class TextRowMapperTests
{
    private readonly MLContext _ml = new(seed: 1);

    private sealed class Question
    {
        public string Prompt { get; set; } = "";
    }

    private sealed class Answered
    {
        public string Prompt { get; set; } = "";

        public string Answer { get; set; } = "";
    }

    private sealed class Lowered
    {
        public string Answer { get; set; } = "";

        public string Lower { get; set; } = "";
    }

    private sealed class OnlyPrompt
    {
        public string Prompt { get; set; } = "";
    }

    [TestMethod]
    public void APredictionEngineComputesEachRowAloneAndOnce()
    {
        var shout = new ShoutTransformer("Answer", "Prompt");
        using PredictionEngine<Question, Answered> engine = _ml.Model.CreatePredictionEngine<Question, Answered>(shout);

        foreach (string prompt in new[] { "one", "two", "two", "three" })
        {
            Answered answered = engine.Predict(new Question { Prompt = prompt });
            Assert.AreEqual(prompt, answered.Prompt);
            Assert.AreEqual(prompt.ToUpperInvariant(), answered.Answer);
        }

        Assert.AreEqual("1, 1, 1, 1", string.Join(", ", shout.Batches));
    }

    [TestMethod]
    public void InAChainItsTextFeedsTheNextTransform()
    {
        var pipeline = _ml.Transforms.CopyColumns("Text", "Prompt")
            .Append(new ShoutEstimator("Answer", "Text"))
            .Append(_ml.Transforms.Text.NormalizeText("Lower", "Answer", TextNormalizingEstimator.CaseMode.Lower));
        IDataView data = _ml.Data.LoadFromEnumerable([new Question { Prompt = "First" }]);
        TransformerChain<TextNormalizingTransformer> chain = pipeline.Fit(data);
        using PredictionEngine<Question, Lowered> engine = _ml.Model.CreatePredictionEngine<Question, Lowered>(chain);

        Lowered second = engine.Predict(new Question { Prompt = "Second" });
        Assert.AreEqual("SECOND", second.Answer);
        Assert.AreEqual("second", second.Lower);
        Assert.AreEqual("first", chain.Transform(data).GetColumn<string>("Lower").Single());
    }

    [TestMethod]
    public void TheOutputMayReplaceItsSource()
    {
        using PredictionEngine<Question, OnlyPrompt> engine =
            _ml.Model.CreatePredictionEngine<Question, OnlyPrompt>(new ShoutTransformer("Prompt", "Prompt"));
        Assert.AreEqual("LOUD", engine.Predict(new Question { Prompt = "loud" }).Prompt);
    }

    [TestMethod]
    public void ARowThatNobodyAsksForATextComputesNone()
    {
        var shout = new ShoutTransformer("Answer", "Prompt");
        using PredictionEngine<Question, OnlyPrompt> engine = _ml.Model.CreatePredictionEngine<Question, OnlyPrompt>(shout);
        Assert.AreEqual("quiet", engine.Predict(new Question { Prompt = "quiet" }).Prompt);
        Assert.IsEmpty(shout.Batches);
    }

    [TestMethod]
    public void AMapperHasOneOutputSchemaAndTakesRowsOfItsInputSchemaOnly()
    {
        IDataView data = _ml.Data.LoadFromEnumerable([new Question { Prompt = "a" }]);
        IDataView other = _ml.Data.LoadFromEnumerable([new Question { Prompt = "b" }]);
        IRowToRowMapper mapper = new ShoutTransformer("Answer", "Prompt").GetRowToRowMapper(data.Schema);
        DataViewSchema output = mapper.OutputSchema;
        Assert.AreSame(output, mapper.OutputSchema);
        Assert.AreSame(data.Schema, mapper.InputSchema);

        using DataViewRowCursor own = data.GetRowCursor(data.Schema), foreign = other.GetRowCursor(other.Schema);
        using DataViewRow row = mapper.GetRow(own, mapper.OutputSchema);
        Assert.AreSame(mapper.OutputSchema, row.Schema);
        Assert.ThrowsExactly<ArgumentException>(() => mapper.GetRow(foreign, mapper.OutputSchema));
    }
}
