using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Tests.Surface;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>Answers with an adapter of their own while others use another: each is that of one model.</summary>
[TestClass]
[TestCategory("Adapters")]
[TestCategory("Cases")]
public sealed class AdaptersPerCallTests
{
    private static readonly MLContext s_ml = new();
    private static readonly string[] s_prompts = [.. TinyTask.Rows.Take(4).Select(row => row.Prompt)];
    private static TemporaryFolder s_folder = null!;
    private static SorsaTransformer s_model = null!;

    /// <summary>By adapter, "" the base: the answer to every prompt.</summary>
    private static Dictionary<string, string[]> s_answers = [];

    [ClassInitialize]
    public static void Train(TestContext context)
    {
        s_folder = new TemporaryFolder();
        s_model = s_ml.Sorsa().LoadModel(TestData.TinyLlama, generation: TinyTask.Options().Generation);
        foreach ((string name, FineTuningMethod method) in new[] { ("a", FineTuningMethod.Lora), ("b", FineTuningMethod.Sorsa) })
        {
            SorsaFineTuningTrainer.Options options = TinyTask.Options();
            options.Method = method;
            options.LearningRate = 1e-2;
            options.MaxSteps = 6;
            using SorsaTransformer trained = s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml));
            trained.SaveAdapter(s_folder.File(name));
            s_model.LoadAdapter(name, s_folder.File(name));
        }

        foreach (string? name in new[] { null, "a", "b" })
        {
            s_model.UseAdapter(name);
            s_answers[name ?? ""] = [.. s_prompts.Select(s_model.Generate)];
        }

        s_model.UseAdapter(null);
        Assert.HasCount(3, s_answers.Values.Select(answers => string.Join('|', answers)).Distinct());
    }

    [ClassCleanup]
    public static void Free()
    {
        s_model.Dispose();
        s_folder.Dispose();
    }

    [TestCleanup]
    public void UseTheBase() => s_model.UseAdapter(null);

    [TestMethod]
    public void ACallMayNameItsAdapterAndChangesNobodyElses()
    {
        s_model.UseAdapter("a");
        foreach (string? name in new[] { "b", null, "a", "b" })
        {
            CollectionAssert.AreEqual(s_answers[name ?? ""], s_prompts.Select(prompt => s_model.Generate(prompt, name)).ToArray());
            Assert.AreEqual("a", s_model.ActiveAdapter);
            Assert.AreEqual(s_answers["a"][0], s_model.Generate(s_prompts[0]));
            Assert.AreEqual(s_answers[name ?? ""][1], string.Concat(s_model.Stream(s_prompts[1], name)));
        }
    }

    /// <summary>The view is lazy: a cursor's rows are all those of the adapter that is in use when it opens.</summary>
    [TestMethod]
    public void ACursorKeepsTheAdapterThatItBeganWith()
    {
        IDataView view = s_model.Transform(s_ml.Data.TakeRows(TinyTask.Data(s_ml), s_prompts.Length));
        DataViewSchema.Column reply = view.Schema["Reply"];
        foreach (string? first in new[] { "a", null, "b" })
        {
            s_model.UseAdapter(first);
            using DataViewRowCursor cursor = view.GetRowCursor([reply]);
            ValueGetter<ReadOnlyMemory<char>> text = cursor.GetGetter<ReadOnlyMemory<char>>(reply);
            var answers = new List<string>();
            foreach (string? other in new[] { null, "a", "b", null })
            {
                s_model.UseAdapter(other);
                Assert.IsTrue(cursor.MoveNext());
                ReadOnlyMemory<char> value = default;
                text(ref value);
                answers.Add(value.ToString());
                Assert.AreEqual(other, s_model.ActiveAdapter);
            }

            CollectionAssert.AreEqual(s_answers[first ?? ""], answers);
        }
    }

    [TestMethod]
    public void AttackStreamAndUseAdapter()
    {
        foreach (string? first in new[] { null, "a", "b" })
        {
            foreach (string? second in new[] { null, "a", "b" })
            {
                s_model.UseAdapter(first);
                string[] expected = s_answers[first ?? ""];
                int longest = Array.IndexOf(expected, expected.MaxBy(answer => answer.Length));
                var text = new List<string>();
                foreach (string piece in s_model.Stream(s_prompts[longest]))
                {
                    text.Add(piece);
                    if (text.Count == 2)
                    {
                        s_model.UseAdapter(second);
                    }
                }

                Assert.IsGreaterThan(2, text.Count);
                Assert.AreEqual(expected[longest], string.Concat(text));
                Assert.AreEqual(second, s_model.ActiveAdapter);
                Assert.AreEqual(s_answers[second ?? ""][0], s_model.Generate(s_prompts[0]));
            }
        }
    }

    [TestMethod]
    public void StreamsSideBySideKeepTheirOwn()
    {
        string?[] names = ["a", null, "b", "a"];
        IEnumerator<string>[] streams = [.. names.Select((name, i) => s_model.Stream(s_prompts[i], name).GetEnumerator())];
        string[] texts = [.. names.Select(_ => "")];
        for (bool more = true; more;)
        {
            more = false;
            for (int i = 0; i < streams.Length; i++)
            {
                if (streams[i].MoveNext())
                {
                    texts[i] += streams[i].Current;
                    more = true;
                }
            }
        }

        CollectionAssert.AreEqual(names.Select((name, i) => s_answers[name ?? ""][i]).ToArray(), texts);
        Array.ForEach(streams, stream => stream.Dispose());
    }

    [TestMethod]
    public void ThreadsMayEachNameTheirs() => Parallel.For(0, 24, new ParallelOptions { MaxDegreeOfParallelism = 6 }, i =>
    {
        string? name = new[] { null, "a", "b" }[i % 3];
        int prompt = i % s_prompts.Length;
        if (i % 5 == 0)
        {
            s_model.UseAdapter(name);
        }

        string answer = i % 2 == 0 ? s_model.Generate(s_prompts[prompt], name) : string.Concat(s_model.Stream(s_prompts[prompt], name));
        Assert.AreEqual(s_answers[name ?? ""][prompt], answer);
    });

    /// <summary>What is saved is what is in use, not what a stream has put in its place.</summary>
    [TestMethod]
    public void SavingBesideAStreamSavesWhatIsInUse()
    {
        using var folder = new TemporaryFolder();
        s_model.UseAdapter("a");
        using IEnumerator<string> stream = s_model.Stream(s_prompts[0], "b").GetEnumerator();
        Assert.IsTrue(stream.MoveNext());
        s_model.Save(folder.File("model.zip"));
        Assert.IsTrue(stream.MoveNext());
        s_model.SaveHuggingFace(folder.File("model"));
        Assert.IsTrue(stream.MoveNext());
        s_ml.Model.Save(s_model, null, folder.File("stock.zip"));

        using SorsaTransformer zip = s_ml.Sorsa().LoadZip(folder.File("model.zip")), stock = s_ml.Sorsa().LoadZip(folder.File("stock.zip")),
            hf = s_ml.Sorsa().LoadModel(folder.File("model"), generation: TinyTask.Options().Generation);
        foreach (SorsaTransformer saved in new[] { zip, stock, hf })
        {
            CollectionAssert.AreEqual(s_answers["a"], s_prompts.Select(saved.Generate).ToArray());
        }
    }

    [TestMethod]
    public void ANameThatIsNotLoadedIsRefusedAtOnce()
    {
        foreach (Action act in new Action[] { () => s_model.Generate("1", "c"), () => s_model.Stream("1", "c") })
        {
            Assert.Contains(
                "name is 'c', and the adapters that are loaded are 'a', 'b'", Assert.ThrowsExactly<ArgumentException>(act).Message);
        }
    }
}
