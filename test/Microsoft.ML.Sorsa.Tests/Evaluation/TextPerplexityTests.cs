using System.Text;
using System.Text.Json;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Evaluation.Likelihoods;
using Microsoft.ML.Sorsa.Tests.Surface;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>The perplexity of a text against transformers' own number, and against one forward for every window.</summary>
[TestClass]
[TestCategory("Evaluation")]
[TestCategory("Numeric")]
public sealed class TextPerplexityTests
{
    private const string Text =
        "Tom has 3 apples. He buys 5 more.\nHow many apples does he have now? 3 + 5 = 8.\n\nAnna reads 12 pages a day for 7 days.";

    private static readonly MLContext s_ml = TestDevice.Context();

    /// <summary>A text of 200 tokens by SmolLM2: transformers' own loss and perplexity, whatever the window that holds it.</summary>
    [TestMethod]
    public void TheGoldenTextHasTransformersPerplexity()
    {
        using JsonDocument golden = JsonDocument.Parse(
            File.ReadAllText(TestData.Require(TestData.Golden("generation", "smollm2-perplexity.json"))));
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("text.txt"), golden.RootElement.GetProperty("text").GetString());
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.Require(TestData.SmolLM2));

        TextPerplexity whole = s_ml.Sorsa().EvaluateText(model, folder.File("text.txt"));

        double[] expected = [.. golden.RootElement.GetProperty("logprobs").EnumerateArray().Select(value => value.GetDouble())];
        Assert.AreEqual(expected.Length, whole.Tokens);
        Assert.AreEqual(golden.RootElement.GetProperty("mean_nll").GetDouble(), whole.Loss, TestDevice.Limit(1e-5));
        Assert.AreEqual(golden.RootElement.GetProperty("perplexity").GetDouble(), whole.Perplexity, TestDevice.Limit(1e-3));
        Assert.AreEqual(whole, s_ml.Sorsa().EvaluateText(model, folder.File("text.txt"), windowLength: 8192, stride: 1));

        // The first window holds the first tokens alone.
        TextPerplexity two = s_ml.Sorsa().EvaluateText(model, folder.File("text.txt"), windowLength: 150, stride: 150);
        Assert.AreEqual(expected.Length - 1, two.Tokens);
        Assert.AreNotEqual(whole.Loss, two.Loss, 1e-3);
    }

    /// <summary>transformers' recipe, written down once more: windows, what of each counts, one forward a window.</summary>
    [TestMethod]
    [DataRow(16, 8)]
    [DataRow(16, 16)]
    [DataRow(16, 1)]
    [DataRow(7, 3)]
    [DataRow(2, 1)]
    [DataRow(2, 2)]
    [DataRow(512, 100)]
    public void WindowsSlideAsInTransformers(int window, int stride)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("text.txt"), Text);
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        int[] ids = model.Model.Prompts.Tokenizer.Encode(Text, addSpecialTokens: true);
        double sum = 0;
        int tokens = 0, previousEnd = 0;
        for (int begin = 0; begin < ids.Length; begin += stride)
        {
            int end = Math.Min(begin + window, ids.Length), fresh = end - previousEnd;
            double[] labels = OneForward.LogProbabilities(model.Model.Network, ids[begin..end])[Math.Max(end - begin - fresh, 1)..];
            sum -= labels.Sum();
            tokens += labels.Length;
            previousEnd = end;
            if (end == ids.Length)
            {
                break;
            }
        }

        TextPerplexity actual = s_ml.Sorsa().EvaluateText(model, folder.File("text.txt"), window, stride);

        Assert.AreEqual(tokens, actual.Tokens);
        Assert.AreEqual(stride < window ? ids.Length - 1 : ids.Length - ((ids.Length + stride - 1) / stride), actual.Tokens);
        Assert.AreEqual(sum / tokens, actual.Loss, TestDevice.Limit(1e-5));
        Assert.AreEqual(Math.Exp(actual.Loss), actual.Perplexity);
        Assert.Contains($"{actual.Tokens} tokens", actual.ToString());
    }

    /// <summary>Nothing is left out and nothing counts twice, wherever the text ends.</summary>
    [TestMethod]
    public void EveryTokenButTheFirstCountsOnce()
    {
        for (int length = 2; length < 40; length++)
        {
            int[] ids = [.. Enumerable.Range(0, length)];
            for (int window = 2; window < 12; window++)
            {
                for (int stride = 1; stride < window; stride++)
                {
                    int[] counted = [.. TextWindows.Of(ids, window, stride)
                        .SelectMany(example => example.Ids.Skip(Math.Max(example.PromptLength, 1)))];
                    CollectionAssert.AreEqual(ids[1..], counted, $"{length} {window} {stride}");
                    Assert.IsTrue(TextWindows.Of(ids, window, stride).All(example => example.Ids.Length <= window));
                }
            }
        }
    }

    [TestMethod]
    [DataRow(1, null, "windowLength is 1; it must be from 2 to 512, the model's positions")]
    [DataRow(513, null, "windowLength is 513; it must be from 2 to 512, the model's positions. Leave it null for 512")]
    [DataRow(-3, 1, "windowLength is -3")]
    [DataRow(16, 17, "stride is 17; it must be from 1 to 16, the windowLength")]
    [DataRow(16, 0, "stride is 0; it must be from 1 to 16")]
    [DataRow(null, 600, "stride is 600; it must be from 1 to 512, the windowLength")]
    public void WindowsThatCannotBeAreRefused(int? window, int? stride, string message)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("text.txt"), Text);
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);

        Assert.Contains(message, Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => s_ml.Sorsa().EvaluateText(model, folder.File("text.txt"), window, stride)).Message);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => s_ml.Sorsa().PrepareText(model, folder.File("text.txt"), window, stride));
    }

    [TestMethod]
    public void FilesWithoutATextAreRefused()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        (string Name, byte[] Content, string Message)[] cases =
        [
            ("empty.txt", [], "is empty"),
            ("mark.txt", [0xEF, 0xBB, 0xBF], "tokens, and a perplexity needs at least 2"),
            ("latin.txt", [.. "caf"u8, 0xE9, .. " au lait"u8], "is not UTF-8: byte 3, in line 1, is 0xE9"),
            ("wide.txt", Encoding.Unicode.GetPreamble().Concat(Encoding.Unicode.GetBytes(Text)).ToArray(), "is in UTF-16"),
            ("pointer.txt", [.. "version https://git-lfs.github.com/spec/v1\n"u8], "is a Git LFS pointer"),
        ];
        foreach ((string name, byte[] content, string message) in cases)
        {
            File.WriteAllBytes(folder.File(name), content);
            string said = Assert.ThrowsExactly<InvalidDataException>(
                () => s_ml.Sorsa().EvaluateText(model, folder.File(name))).Message;
            Assert.Contains(name, said);
            Assert.Contains(message, said);
        }

        Assert.ThrowsExactly<FileNotFoundException>(() => s_ml.Sorsa().EvaluateText(model, folder.File("missing.txt")));
        Assert.ThrowsExactly<ArgumentException>(() => s_ml.Sorsa().EvaluateText(model, " "));
        Assert.ThrowsExactly<ArgumentNullException>(() => s_ml.Sorsa().EvaluateText(null!, "text.txt"));
        using (FileStream large = File.Create(folder.File("large.txt")))
        {
            large.SetLength((1L << 27) + 1);
        }

        Assert.Contains("134217729 bytes, and a text is read up to 134217728", Assert.ThrowsExactly<InvalidDataException>(
            () => s_ml.Sorsa().EvaluateText(model, folder.File("large.txt"))).Message);
    }

    /// <summary>Also one that begins as a pointer or a server's answer does: those are short.</summary>
    [TestMethod]
    public void ATextIsATextHoweverItBegins()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        File.WriteAllText(folder.File("text.txt"), "404 apples. " + string.Concat(Enumerable.Repeat(Text, 50)));

        Assert.IsTrue(s_ml.Sorsa().EvaluateText(model, folder.File("text.txt"), 64, 64) is { Perplexity: > 1, Tokens: > 1000 });
    }

    /// <summary>The file is read once: what becomes of it plays no part.</summary>
    [TestMethod]
    public void WhatIsPreparedNeedsItsFileNoMore()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        File.WriteAllText(folder.File("text.txt"), Text);
        TextPerplexity expected = s_ml.Sorsa().EvaluateText(model, folder.File("text.txt"), 16, 8);

        PreparedEvaluation<TextPerplexity> prepared = s_ml.Sorsa().PrepareText(model, folder.File("text.txt"), 16, 8);
        File.Delete(folder.File("text.txt"));

        Assert.Throws<OperationCanceledException>(() => prepared.Run(new CancellationToken(canceled: true)));
        Assert.AreEqual(expected, prepared.Run());
        Assert.AreEqual(expected, prepared.Run());
        model.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => prepared.Run());
    }

    /// <summary>The adapter of that time answers, whatever is switched on or off in the meantime.</summary>
    [TestMethod]
    public void WhatIsPreparedHasTheAdapterOfThatTime()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = TinyTask.Fit(s_ml);
        trained.SaveAdapter(folder.File("adapter"));
        File.WriteAllText(folder.File("text.txt"), Text);
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        model.LoadAdapter("sums", folder.File("adapter"));
        PreparedEvaluation<TextPerplexity> Prepared() => s_ml.Sorsa().PrepareText(model, folder.File("text.txt"), 16, 8);
        double alone = Prepared().Run().Perplexity;

        PreparedEvaluation<TextPerplexity> ofBase = Prepared();
        model.UseAdapter("sums");
        PreparedEvaluation<TextPerplexity> ofAdapter = Prepared();
        double before = ofBase.Run().Perplexity;
        model.UseAdapter(null);
        double after = ofAdapter.Run().Perplexity;

        Assert.AreEqual(alone, before);
        Assert.IsGreaterThan(0.01 * alone, Math.Abs(after - alone), "the adapter changes what the model says");
        Assert.AreEqual(s_ml.Sorsa().EvaluateText(trained, folder.File("text.txt"), 16, 8).Perplexity, after, 1e-3 * after);
    }

    [TestMethod]
    public void ItEndsWhenItIsTold()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        File.WriteAllText(folder.File("text.txt"), Text);

        Assert.Throws<OperationCanceledException>(() => s_ml.Sorsa().EvaluateText(
            model, folder.File("text.txt"), cancellationToken: new CancellationToken(canceled: true)));
        model.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => s_ml.Sorsa().EvaluateText(model, folder.File("text.txt")));
    }
}
