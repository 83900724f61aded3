using Microsoft.ML.Sorsa.Tests.Surface;

namespace Microsoft.ML.Sorsa.Tests.Gguf;

/// <summary>Adapters as LoRA files, and whole models with an adapter in place.</summary>
[TestClass]
[TestCategory("Gguf")]
[TestCategory("Adapters")]
public sealed class GgufAdapterTests
{
    private static readonly MLContext s_ml = new(seed: 1);

    /// <summary>SORSA of rank 4 is a LoRA of rank 8: what was trained, and what it started from taken away.</summary>
    [TestMethod]
    [DataRow(FineTuningMethod.Sorsa, 8)]
    [DataRow(FineTuningMethod.Pissa, 8)]
    [DataRow(FineTuningMethod.Lora, 4)]
    [DataRow(FineTuningMethod.RsLora, 4)]
    [DataRow(FineTuningMethod.AdaLora, 4)]
    public void TheUpdateIsTheMergedModelsDifference(FineTuningMethod method, int rank)
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = Fit(method), plain = GgufModels.Bundled();
        model.SaveAdapter(folder.File("adapter.gguf"), AdapterFormat.Gguf);
        GgufContent file = GgufContent.Read(folder.File("adapter.gguf"));

        Assert.AreEqual("llama", file.Keys["general.architecture"]);
        Assert.AreEqual("adapter", file.Keys["general.type"]);
        Assert.AreEqual("lora", file.Keys["adapter.type"]);
        Assert.AreEqual((float)rank, file.Keys["adapter.lora.alpha"]);
        Assert.HasCount(2 * 2 * 6, file.Tensors);
        Compare("model.layers.4.self_attn.q_proj", "blk.4.attn_q", rows: 128, columns: 128, paired: true);
        Compare("model.layers.5.mlp.down_proj", "blk.5.ffn_down", rows: 128, columns: 352, paired: false);

        void Compare(string ours, string theirs, int rows, int columns, bool paired)
        {
            CollectionAssert.AreEqual(new long[] { columns, rank }, file.Tensors[theirs + ".weight.lora_a"].Sides);
            CollectionAssert.AreEqual(new long[] { rank, rows }, file.Tensors[theirs + ".weight.lora_b"].Sides);
            float[] a = file.Values(theirs + ".weight.lora_a"), b = file.Values(theirs + ".weight.lora_b");
            float[] merged = GgufModels.Weight(model, ours + ".weight"), before = GgufModels.Weight(plain, ours + ".weight");
            double worst = 0, change = 0;
            for (int row = 0; row < rows; row++)
            {
                // Of a head of 32 rows the first 16 are the even ones.
                int from = paired ? (row / 32 * 32) + (row % 2 * 16) + (row % 32 / 2) : row;
                for (int column = 0; column < columns; column++)
                {
                    double update = 0;
                    for (int i = 0; i < rank; i++)
                    {
                        update += (double)b[(row * rank) + i] * a[(i * columns) + column];
                    }

                    double difference = (double)merged[(from * columns) + column] - before[(from * columns) + column];
                    worst = Math.Max(worst, Math.Abs(difference - update));
                    change = Math.Max(change, Math.Abs(difference));
                }
            }

            Assert.IsGreaterThan(1e-4, change);
            Assert.IsLessThanOrEqualTo(1e-6, worst);
        }
    }

    [TestMethod]
    public void DoraIsRefused()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = Fit(FineTuningMethod.Dora);

        string message = Assert.ThrowsExactly<NotSupportedException>(
            () => model.SaveAdapter(folder.File("adapter.gguf"), AdapterFormat.Gguf)).Message;

        Assert.Contains("SaveGguf", message);
        Assert.IsEmpty(Directory.GetFileSystemEntries(folder.Path));
        model.SaveGguf(folder.File("merged.gguf"));
    }

    [TestMethod]
    public void BesideAQuantisedBaseIsRefused()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = Fit(FineTuningMethod.Lora, options => options.Quantization = BaseQuantization.NF4);

        Assert.Contains("SaveGguf", Assert.ThrowsExactly<NotSupportedException>(
            () => model.SaveAdapter(folder.File("adapter.gguf"), AdapterFormat.Gguf)).Message);
    }

    [TestMethod]
    public void WithoutAnAdapterItIsRefused()
    {
        using SorsaTransformer model = GgufModels.Bundled();

        Assert.ThrowsExactly<InvalidOperationException>(() => model.SaveAdapter("adapter.gguf", AdapterFormat.Gguf));
    }

    /// <summary>The file is of the adapter that is in use, and of the base again when none is.</summary>
    [TestMethod]
    public void AModelIsWrittenWithTheAdapterInUse()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = Fit(FineTuningMethod.Lora), plain = GgufModels.Bundled();
        trained.SaveAdapter(folder.File("adapter"));
        float[] before = Down(plain);
        plain.LoadAdapter("one", folder.File("adapter"));

        plain.UseAdapter("one");
        float[] with = Down(plain);
        plain.UseAdapter(null);

        CollectionAssert.AreEqual(before, Down(plain));
        CollectionAssert.AreNotEqual(before, with);
    }

    [TestMethod]
    public void AZipGivesTheSameFile()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = Fit(FineTuningMethod.Sorsa);
        trained.Save(folder.File("model.zip"));
        using SorsaTransformer loaded = s_ml.Sorsa().LoadZip(folder.File("model.zip"));

        trained.SaveGguf(folder.File("model.gguf"), GgufType.Q8_0);
        byte[] one = File.ReadAllBytes(folder.File("model.gguf"));
        loaded.SaveGguf(folder.File("model.gguf"), GgufType.Q8_0);

        CollectionAssert.AreEqual(one, File.ReadAllBytes(folder.File("model.gguf")));
    }

    private static float[] Down(SorsaTransformer model) => GgufModels.Write(model, GgufType.F32).Values("blk.3.ffn_down.weight");

    private static SorsaTransformer Fit(FineTuningMethod method, Action<SorsaFineTuningTrainer.Options>? change = null)
    {
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        options.Method = method;
        options.MaxSteps = 9;
        options.NumberOfEpochs = 3;
        options.SavedType = WeightType.Float32;
        change?.Invoke(options);
        return s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml));
    }
}
