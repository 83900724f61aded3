namespace Microsoft.ML.Sorsa.LLamaSharp.Tests;

/// <summary>An adapter's file over the base's gives the logits of the merged model.</summary>
[TestClass]
[TestCategory("Gguf")]
public sealed class AdapterTests
{
    private static readonly MLContext s_ml = new(seed: 1);

    [TestMethod]
    [DataRow(FineTuningMethod.Sorsa)]
    [DataRow(FineTuningMethod.Lora)]
    [DataRow(FineTuningMethod.RsLora)]
    [DataRow(FineTuningMethod.Pissa)]
    [DataRow(FineTuningMethod.AdaLora)]
    public void OverTheBase(FineTuningMethod method)
    {
        using var folder = new TemporaryFolder();
        using var merged = new OwnModel(s_ml.Sorsa().FineTune(Options(method)).Fit(Data()));
        using OwnModel unmerged = OwnModel.Load(TestData.TinyLlama);
        merged.Transformer.SaveAdapter(folder.File("adapter.gguf"), AdapterFormat.Gguf);
        unmerged.Transformer.SaveGguf(folder.File("base.gguf"), GgufType.F32);
        int[] ids = merged.Tokenize("Tom has 3 apples. He buys 5 more. How many?", addSpecial: true, parseSpecial: true);

        using var client = new LlamaClient(folder.File("base.gguf"));
        float[][] before = client.Logits(ids);
        client.UseAdapter(folder.File("adapter.gguf"));
        float[][] theirs = client.Logits(ids), ours = merged.Logits(ids);

        Assert.IsGreaterThan(0.05, Difference(before, ours), "the training changed too little to see");
        Assert.IsLessThanOrEqualTo(2e-3, Difference(theirs, ours));
    }

    private static SorsaFineTuningTrainer.Options Options(FineTuningMethod method) => new()
    {
        ModelFolder = TestData.TinyLlama,
        Method = method,
        Rank = 6,
        LearningRate = 1e-2,
        BatchSize = 4,
        MaxSteps = 12,
        NumberOfEpochs = 4,

        // The merged model as it was trained: the checkpoint's bf16 would round it, and the adapter does not.
        SavedType = WeightType.Float32,
    };

    private static IDataView Data() => s_ml.Data.LoadFromEnumerable(Enumerable.Range(1, 12).Select(i => new Row
    {
        Prompt = $"Tom has {i} apples. He buys {i + 2} more. How many?",
        Response = $"{i} + {i + 2} = {i + i + 2}.",
    }));

    private static double Difference(float[][] one, float[][] other) =>
        one.Zip(other, (x, y) => x.Zip(y, (a, b) => (double)Math.Abs(a - b)).Max()).Max();

    private sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }
}
