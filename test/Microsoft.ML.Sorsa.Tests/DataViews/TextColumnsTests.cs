using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.DataViews;

namespace Microsoft.ML.Sorsa.Tests.DataViews;

[TestClass]
[TestCategory("DataViews")]
public sealed class TextColumnsTests
{
    private sealed class Row
    {
        public string Text { get; set; } = "";

        public float Number { get; set; }

        [VectorType(2)]
        public string[] Texts { get; set; } = [];

        [KeyType(3)]
        public uint Key { get; set; }
    }

    private static IDataView Data => new MLContext(seed: 1).Data.LoadFromEnumerable([new Row { Texts = ["a", "b"] }]);

    [TestMethod]
    public void AColumnOfTextIsFound()
    {
        Assert.AreEqual("Text", TextColumns.Find(Data.Schema, "PromptColumnName", "Text").Name);
        TextColumns.Check(SchemaShape.Create(Data.Schema), "PromptColumnName", "Text");
    }

    [TestMethod]
    [DataRow("text", "no column 'text'")]
    [DataRow("Number", "'Number' is of type Single")]
    [DataRow("Texts", "'Texts' is of type Vector<String")]
    [DataRow("Key", "'Key' is of type Key<UInt32")]
    public void AnyOtherIsAnErrorThatNamesWhatIsThere(string column, string problem)
    {
        foreach (Action check in new Action[]
        {
            () => TextColumns.Find(Data.Schema, "PromptColumnName", column),
            () => TextColumns.Check(SchemaShape.Create(Data.Schema), "PromptColumnName", column),
        })
        {
            var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(check);
            Assert.Contains(problem, error.Message);
            Assert.Contains("'Text' (String), 'Number' (Single)", error.Message);
            Assert.AreEqual("PromptColumnName", error.ParamName);
            Assert.AreEqual(column, error.ActualValue);
        }
    }

    [TestMethod]
    public void ALongListOfColumnsIsCut()
    {
        var builder = new DataViewSchema.Builder();
        for (int i = 0; i < 25; i++)
        {
            builder.AddColumn($"C{i}", NumberDataViewType.Single);
        }

        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => TextColumns.Find(builder.ToSchema(), "PromptColumnName", "Text"));
        Assert.Contains("'C9' (Single), and 15 more.", error.Message);
    }

    [TestMethod]
    [DataRow("Answer", "Text,Number,Texts,Key,Answer")]
    [DataRow("Number", "Text,Texts,Key,Number")]
    public void AnAppendedColumnIsTextAndReplacesItsNamesake(string name, string expected)
    {
        SchemaShape shape = TextColumns.Append(SchemaShape.Create(Data.Schema), name);
        Assert.AreEqual(expected, string.Join(",", shape.Select(column => column.Name)));
        TextColumns.Check(shape, "PromptColumnName", name);
    }

    [TestMethod]
    public void AnEstimatorInAChainRefusesAMissingColumnBeforeItIsFitted()
    {
        var ml = new MLContext(seed: 1);
        var chain = ml.Transforms.CopyColumns("Copy", "Text").Append(new ShoutEstimator("Answer", "Prompt"));
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => chain.GetOutputSchema(SchemaShape.Create(Data.Schema)));
        Assert.Contains("'Copy' (String)", error.Message);
    }
}
