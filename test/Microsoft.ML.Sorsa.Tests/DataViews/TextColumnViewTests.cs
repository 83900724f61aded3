using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.DataViews;

namespace Microsoft.ML.Sorsa.Tests.DataViews;

[TestClass]
[TestCategory("DataViews")]
public sealed class TextColumnViewTests
{
    private const int Count = 10, BatchSize = 4;

    private readonly MLContext _ml = new(seed: 1);
    private readonly ShoutTransformer _shout = new("Answer", "Prompt", BatchSize);

    private sealed class Row
    {
        public string Prompt { get; set; } = "";

        public float Number { get; set; }

        [VectorType]
        public float[] Vector { get; set; } = [];

        public string Animal { get; set; } = "";
    }

    private sealed class AnsweredRow
    {
        public string Prompt { get; set; } = "";

        public float Number { get; set; }

        public float[] Vector { get; set; } = [];

        public string Answer { get; set; } = "";
    }

    [TestMethod]
    public void NothingIsComputedBeforeATextIsAskedFor()
    {
        IDataView view = _shout.Transform(Input());
        using DataViewRowCursor cursor = view.GetRowCursor(view.Schema);
        cursor.GetGetter<ReadOnlyMemory<char>>(view.Schema["Answer"]);
        while (cursor.MoveNext())
        {
        }

        Assert.IsEmpty(_shout.Batches);
    }

    [TestMethod]
    public void TextsAreComputedInBatchesAndInOrder()
    {
        CollectionAssert.AreEqual(Enumerable.Range(0, Count).Select(i => $"ROW {i}").ToArray(), Answers(_shout.Transform(Input())));
        Assert.AreEqual("4, 4, 2", string.Join(", ", _shout.Batches));
    }

    [TestMethod]
    public void ATextAskedForTwiceIsComputedOnce()
    {
        IDataView view = _shout.Transform(Input());
        using DataViewRowCursor cursor = view.GetRowCursor(view.Schema);
        ValueGetter<ReadOnlyMemory<char>> first = cursor.GetGetter<ReadOnlyMemory<char>>(view.Schema["Answer"]);
        ValueGetter<ReadOnlyMemory<char>> second = cursor.GetGetter<ReadOnlyMemory<char>>(view.Schema["Answer"]);
        Assert.IsTrue(cursor.MoveNext());
        ReadOnlyMemory<char> a = default, b = default;
        first(ref a);
        second(ref b);

        Assert.AreEqual(a.ToString(), b.ToString());
        Assert.HasCount(1, _shout.Batches);
    }

    [TestMethod]
    [DataRow("Answer", "Prompt", DisplayName = "the computed column needs its source")]
    [DataRow("Answer,Number", "Prompt,Number", DisplayName = "and what else was asked for")]
    [DataRow("Number", "Number", DisplayName = "another column needs itself alone")]
    [DataRow("", "", DisplayName = "no column needs none")]
    public void OnlyNeededColumnsAreReadFromTheInput(string asked, string expected)
    {
        var watched = new WatchedView(Input());
        IDataView view = _shout.Transform(watched);
        using DataViewRowCursor cursor = view.GetRowCursor(Names(asked).Select(name => view.Schema[name]));

        CollectionAssert.AreEqual(Names(expected), watched.Asked.Single());
        foreach (DataViewSchema.Column column in view.Schema)
        {
            Assert.AreEqual(Names(asked).Contains(column.Name), cursor.IsColumnActive(column), column.Name);
        }
    }

    [TestMethod]
    public void WithoutTheComputedColumnNothingIsReadAhead()
    {
        var watched = new WatchedView(Input());
        IDataView view = _shout.Transform(watched);
        using DataViewRowCursor cursor = view.GetRowCursor([view.Schema["Number"]]);
        cursor.MoveNext();

        Assert.AreEqual(1, watched.RowsRead);
    }

    [TestMethod]
    public void RowsKeepPositionIdAndBatchOfTheInput()
    {
        var watched = new WatchedView(Input());
        IDataView view = _shout.Transform(watched);
        using DataViewRowCursor input = watched.GetRowCursor(watched.Schema), output = view.GetRowCursor(view.Schema);
        ValueGetter<DataViewRowId> inputId = input.GetIdGetter(), outputId = output.GetIdGetter();
        Assert.AreEqual(-1, output.Position);
        while (input.MoveNext())
        {
            Assert.IsTrue(output.MoveNext());
            DataViewRowId expected = default, actual = default;
            inputId(ref expected);
            outputId(ref actual);
            Assert.AreEqual(expected, actual);
            Assert.AreEqual(input.Batch, output.Batch);
            Assert.AreEqual(input.Position, output.Position);
        }

        Assert.IsFalse(output.MoveNext());
        Assert.AreEqual(-1, output.Position);
    }

    [TestMethod]
    public void SeveralCursorsAskedForGiveOne()
    {
        IDataView view = _shout.Transform(Input());
        DataViewRowCursor[] cursors = view.GetRowCursorSet(view.Schema, 4);
        using DataViewRowCursor only = cursors.Single();
        int rows = 0;
        while (only.MoveNext())
        {
            rows++;
        }

        Assert.AreEqual(Count, rows);
    }

    [TestMethod]
    public void AShuffledCursorShufflesTheRowsWhole()
    {
        IDataView view = _shout.Transform(_ml.Data.Cache(Input()));
        Assert.IsTrue(view.CanShuffle);
        AnsweredRow[] rows = Rows(_ml.Data.ShuffleRows(view, seed: 3));
        using DataViewRowCursor cursor = view.GetRowCursor(view.Schema, new Random(7));
        ValueGetter<ReadOnlyMemory<char>> prompt = cursor.GetGetter<ReadOnlyMemory<char>>(view.Schema["Prompt"]);
        ValueGetter<ReadOnlyMemory<char>> answer = cursor.GetGetter<ReadOnlyMemory<char>>(view.Schema["Answer"]);
        var shuffled = new List<string>();
        ReadOnlyMemory<char> p = default, a = default;
        while (cursor.MoveNext())
        {
            prompt(ref p);
            answer(ref a);
            Assert.AreEqual(p.ToString().ToUpperInvariant(), a.ToString());
            shuffled.Add(a.ToString());
        }

        string[] inOrder = [.. Enumerable.Range(0, Count).Select(i => $"ROW {i}")];
        CollectionAssert.AreNotEqual(inOrder, shuffled);
        CollectionAssert.AreEquivalent(inOrder, shuffled);
        CollectionAssert.AreEquivalent(inOrder, rows.Select(row => row.Answer).ToArray());
        AssertWhole(rows);
    }

    [TestMethod]
    public void SkipAndTakeGetTheirRows() => Assert.AreEqual(
        "ROW 5, ROW 6, ROW 7", string.Join(", ", Answers(_ml.Data.TakeRows(_ml.Data.SkipRows(_shout.Transform(Input()), 5), 3))));

    [TestMethod]
    public void VectorsOfABatchStayApart() => AssertWhole(Rows(_shout.Transform(Input())));

    [TestMethod]
    public void KeysAndAnnotationsGoThrough()
    {
        IDataView keyed = _ml.Transforms.Conversion.MapValueToKey("Animal").Fit(Input()).Transform(Input());
        IDataView restored = _ml.Transforms.Conversion.MapKeyToValue("Restored", "Animal").Fit(keyed).Transform(_shout.Transform(keyed));

        CollectionAssert.AreEqual(restored.GetColumn<uint>("Animal").ToArray(), keyed.GetColumn<uint>("Animal").ToArray());
        CollectionAssert.AreEqual(Input().GetColumn<string>("Animal").ToArray(), restored.GetColumn<string>("Restored").ToArray());
    }

    [TestMethod]
    public void ACacheComputesEachTextOnce()
    {
        IDataView cached = _ml.Data.Cache(_shout.Transform(Input()));
        CollectionAssert.AreEqual(Answers(cached), Answers(cached));
        Assert.AreEqual(Count, _shout.Batches.Sum());
    }

    [TestMethod]
    public void SavedAsBinaryItReadsTheSame()
    {
        IDataView view = _shout.Transform(Input());
        string file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        try
        {
            using (FileStream stream = File.Create(file))
            {
                _ml.Data.SaveAsBinary(view, stream);
            }

            AssertWhole(Rows(_ml.Data.LoadFromBinary(file)));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [TestMethod]
    public void PreviewShowsTheComputedColumn()
    {
        DataDebuggerPreview preview = _shout.Transform(Input()).Preview(maxRows: 3);
        Assert.AreEqual("ROW 0, ROW 1, ROW 2", string.Join(", ", preview.ColumnView.Single(c => c.Column.Name == "Answer").Values));
    }

    [TestMethod]
    [DataRow("Animal", "Prompt", "ROW 3", DisplayName = "another column")]
    [DataRow("Prompt", "Prompt", "ROW 3", DisplayName = "its own source")]
    [DataRow("Vector", "Prompt", "ROW 3", DisplayName = "a column of another type")]
    public void AnOutputNamedLikeAnInputHidesIt(string output, string input, string expected)
    {
        IDataView view = new ShoutTransformer(output, input).Transform(Input());

        Assert.AreEqual(expected, view.GetColumn<string>(output).ElementAt(3));
        Assert.IsTrue(view.Schema.First(column => column.Name == output).IsHidden);
        Assert.HasCount(Input().Schema.Count + 1, view.Schema);
    }

    [TestMethod]
    [DataRow(true, DisplayName = "behind a cache checkpoint")]
    [DataRow(false, DisplayName = "read anew each time")]
    public void ATrainerThatReadsInParallelGetsItsRows(bool cached)
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 200).Select(i =>
            new LabelledRow { Prompt = i % 2 == 0 ? $"good {i}" : $"bad {i}", Label = i % 2 == 0 }));
        var shout = new ShoutEstimator("Answer", "Prompt", BatchSize);
        var pipeline = (cached ? shout.AppendCacheCheckpoint(_ml) : new EstimatorChain<ITransformer>().Append(shout))
            .Append(_ml.Transforms.Text.FeaturizeText("Features", "Answer"))
            .Append(_ml.BinaryClassification.Trainers.SdcaLogisticRegression());

        foreach (var fold in _ml.BinaryClassification.CrossValidate(data, pipeline, numberOfFolds: 3))
        {
            Assert.AreEqual(1.0, fold.Metrics.AreaUnderRocCurve, 1e-9);
        }

        Assert.HasCount(3, shout.Fitted);
    }

    [TestMethod]
    public void AFunctionThatLosesATextIsAnError()
    {
        var mapper = new TextColumnMapper(
            "Answer", "Prompt", BatchSize, () => texts => [.. texts.Skip(1).Select(text => new ComputedText(text))]);
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Answers(mapper.Transform(Input())));
        Assert.Contains("'Answer' got 4 texts and gave 3", error.Message);
    }

    [TestMethod]
    public void GettersOfWrongUseAreErrors()
    {
        IDataView view = _shout.Transform(Input());
        using DataViewRowCursor cursor = view.GetRowCursor([view.Schema["Answer"], view.Schema["Number"]]);
        ValueGetter<ReadOnlyMemory<char>> getter = cursor.GetGetter<ReadOnlyMemory<char>>(view.Schema["Answer"]);
        ReadOnlyMemory<char> value = default;

        Assert.ThrowsExactly<InvalidOperationException>(() => getter(ref value), "before the first row");
        Assert.ThrowsExactly<InvalidOperationException>(() => cursor.GetGetter<float>(view.Schema["Answer"]), "text as a number");
        Assert.ThrowsExactly<InvalidOperationException>(() => cursor.GetGetter<double>(view.Schema["Number"]), "float as double");
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => cursor.GetGetter<ReadOnlyMemory<char>>(view.Schema["Prompt"]), "not active");
        while (cursor.MoveNext())
        {
        }

        Assert.ThrowsExactly<InvalidOperationException>(() => getter(ref value), "after the last row");
    }

    [TestMethod]
    public void NoRowsGiveNoRows()
    {
        IDataView none = _ml.Data.LoadFromEnumerable(Array.Empty<Row>());
        Assert.IsEmpty(Answers(_shout.Transform(none)));
        Assert.IsEmpty(_shout.Batches);
    }

    private sealed class LabelledRow
    {
        public string Prompt { get; set; } = "";

        public bool Label { get; set; }
    }

    /// <summary>Vectors alternate between dense, sparse and empty, for ML.NET reuses their memory.</summary>
    private IDataView Input() => _ml.Data.LoadFromEnumerable(Enumerable.Range(0, Count).Select(i =>
        new Row { Prompt = $"Row {i}", Number = i, Vector = Vector(i), Animal = i % 3 == 0 ? "cat" : "dog" }));

    private static float[] Vector(int i) => i % 3 == 2 ? [] : [.. Enumerable.Range(0, 1 + i % 4).Select(k => k == i % 2 ? i : 0f)];

    private static string[] Names(string list) => list.Split(',', StringSplitOptions.RemoveEmptyEntries);

    private static string[] Answers(IDataView view) => [.. view.GetColumn<string>("Answer")];

    private AnsweredRow[] Rows(IDataView view) => [.. _ml.Data.CreateEnumerable<AnsweredRow>(view, reuseRowObject: false)];

    private static void AssertWhole(AnsweredRow[] rows)
    {
        Assert.HasCount(Count, rows);
        foreach (AnsweredRow row in rows)
        {
            Assert.AreEqual($"Row {row.Number}", row.Prompt);
            Assert.AreEqual($"ROW {row.Number}", row.Answer);
            CollectionAssert.AreEqual(Vector((int)row.Number), row.Vector);
        }
    }
}
