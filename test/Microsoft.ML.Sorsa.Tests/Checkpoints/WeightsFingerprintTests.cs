using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tests.Surface;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Checkpoints;

/// <summary>What an adapter and a study know their base by.</summary>
[TestClass]
[TestCategory("Checkpoints")]
[TestCategory("Cases")]
public sealed class WeightsFingerprintTests
{
    private static readonly MLContext s_ml = new();

    /// <summary>Against the hash over bytes that are put together by hand.</summary>
    [TestMethod]
    public void ItIsTheHashOfNamesShapesAndValues()
    {
        using var scope = NewDisposeScope();
        float[] b = [1.5f, -0f, 3e-41f];
        byte[] bytes = [.. "a []\n"u8, .. BitConverter.GetBytes(-2f), .. "b [3, 1]\n"u8, .. MemoryMarshal.AsBytes<float>(b)];

        string fingerprint = WeightsFingerprint.Of([new("b", tensor(b, [3, 1])), new("a", tensor(-2f).to(ScalarType.BFloat16))]);

        Assert.AreEqual("xxh128:" + Convert.ToHexStringLower(XxHash128.Hash(bytes)), fingerprint);
    }

    [TestMethod]
    public void TheTypeDoesNotCountWhereItHoldsTheValues()
    {
        using var scope = NewDisposeScope();
        Tensor values = randn([1000, 1500]);
        foreach (ScalarType narrow in new[] { ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float32 })
        {
            Tensor rounded = values.to(narrow);
            string expected = Of(rounded);
            Assert.AreEqual(expected, Of(rounded.to(ScalarType.Float32)), $"{narrow}");
            Assert.AreEqual(expected, Of(rounded.to(ScalarType.Float64)), $"{narrow}");
        }

        Assert.AreNotEqual(Of(values), Of(values.to(ScalarType.BFloat16)));
        Assert.AreNotEqual(Of(values), Of(values.to(ScalarType.Float64) + 1e-12));
    }

    /// <summary>Every value counts: one in the last bit, anywhere.</summary>
    [TestMethod]
    [DataRow(0)]
    [DataRow(777)]
    [DataRow(1_048_575)]
    [DataRow(1_048_576)]
    [DataRow(1_299_999)]
    public void EveryValueCounts(int place)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Tensor values = rand([1300, 1000], generator: generator).Shift(1.0);
        string before = Of(values);

        values.view(-1)[place] = tensor(MathF.BitIncrement(values.view(-1)[place].item<float>()));

        Assert.AreNotEqual(before, Of(values));
        Assert.AreNotEqual(before, Of(rand([1300, 1000], generator: generator).Shift(1.0).view(1000, 1300)));
    }

    /// <summary>Two bases between whose sampled pieces lies what differs: version 0.1 took the one for the other.</summary>
    [TestMethod]
    public void AttackBasesThatDifferBetweenTheOldPiecesAreTwo()
    {
        using var scope = NewDisposeScope();
        using var temporary = new TemporaryFolder();
        var other = new EditedModel(temporary, TestData.TinyLlama);
        foreach ((string name, int first, int count) in new[]
            { ("model.embed_tokens.weight", 40, 900), ("model.layers.0.self_attn.q_proj.weight", 34, 20) })
        {
            Tensor values = other.Values(name);
            Tensor part = values.view(-1).narrow(0, first, count);
            part.copy_(part.flip(0));
            other.Put(name, values);
        }

        string adapter = temporary.File("adapter");
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        options.MaxSteps = 1;
        using (SorsaTransformer trained = s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml)))
        {
            trained.SaveAdapter(adapter);
        }

        using SorsaTransformer one = s_ml.Sorsa().LoadModel(TestData.TinyLlama), two = s_ml.Sorsa().LoadModel(other.Folder);
        Assert.AreEqual(one.Model.Network.SampledFingerprint, two.Model.Network.SampledFingerprint);
        Assert.AreNotEqual(one.Model.Network.Fingerprint, two.Model.Network.Fingerprint);
        one.LoadAdapter("a", adapter);
        string message = Assert.ThrowsExactly<InvalidDataException>(() => two.LoadAdapter("a", adapter)).Message;
        Assert.Contains("another base", message);
    }

    /// <summary>Computing in a narrower type than the stored one does not change whose weights they are.</summary>
    [TestMethod]
    [DataRow(ScalarType.Float32, ScalarType.BFloat16)]
    [DataRow(ScalarType.BFloat16, ScalarType.Float32)]
    [DataRow(ScalarType.Float16, ScalarType.BFloat16)]
    [DataRow(ScalarType.Float64, ScalarType.Float32)]
    public void TheTypeToComputeInDoesNotCount(ScalarType stored, ScalarType computed)
    {
        using var scope = NewDisposeScope();
        using var temporary = new TemporaryFolder();
        using var generator = new Generator(3);
        EditedModel model = new EditedModel(temporary).In(stored);
        model.Put("model.norm.weight", rand([16], generator: generator).to(stored));
        string expected;
        using (Checkpoint checkpoint = Checkpoint.OpenFolder(model.Folder))
        {
            expected = WeightsFingerprint.Of(checkpoint.Tensors);
        }

        using CausalLM loaded = CausalLM.Load(model.Folder, computed, CPU);
        using CausalLM shared = loaded.Share();

        Assert.AreEqual(expected, loaded.Fingerprint);
        Assert.AreEqual(expected, shared.Fingerprint);
        Assert.IsTrue(loaded.HasFingerprint(expected));
        Assert.IsTrue(loaded.HasFingerprint(loaded.SampledFingerprint));
        Assert.IsFalse(loaded.HasFingerprint(expected[..^1]));
        Assert.IsFalse(loaded.HasFingerprint(""));
    }

    /// <summary>It is asked for when another adapter is merged: it must be the base's all the same.</summary>
    [TestMethod]
    public void AnAdapterInUseDoesNotCount()
    {
        using var temporary = new TemporaryFolder();
        string adapter = temporary.File("adapter"), peft = temporary.File("peft");
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        options.Method = FineTuningMethod.Lora;
        options.MaxSteps = 2;
        using (SorsaTransformer trained = s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml)))
        {
            trained.SaveAdapter(adapter);
            trained.SaveAdapter(peft, AdapterFormat.Peft);
        }

        using SorsaTransformer model = s_ml.Sorsa().LoadModel(TestData.TinyLlama);
        model.LoadAdapter("peft", peft);
        model.UseAdapter("peft");

        model.LoadAdapter("own", adapter);

        Assert.HasCount(2, model.AdapterNames);
    }

    private static string Of(Tensor values) => WeightsFingerprint.Of([new("w", values)]);
}
