using Microsoft.ML.Sorsa.Gguf;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Gguf;

/// <summary>What stands where in a file: places, sizes, types, names, the order of rows.</summary>
[TestClass]
[TestCategory("Gguf")]
public sealed class GgufFileTests
{
    private static readonly SorsaTransformer s_model = GgufModels.Bundled();

    [ClassCleanup]
    public static void Free() => s_model.Dispose();

    [TestMethod]
    [DataRow(GgufType.F32)]
    [DataRow(GgufType.F16)]
    [DataRow(GgufType.BF16)]
    [DataRow(GgufType.Q8_0)]
    public void TensorsStandOneBehindTheOtherAtMultiplesOf32(GgufType type)
    {
        GgufContent file = GgufModels.Write(s_model, type);

        long at = 0;
        foreach (GgufContentTensor tensor in file.Tensors.Values)
        {
            Assert.AreEqual(at, tensor.Offset);
            at = (at + tensor.Size + 31) / 32 * 32;
        }

        Assert.AreEqual(file.DataStart + at, file.Length);
    }

    [TestMethod]
    public void NamesAreThoseOfTheArchitecture()
    {
        string[] inLayer = ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"];
        string[] expected =
        [
            "token_embd.weight", "output_norm.weight",
            .. Enumerable.Range(0, 6).SelectMany(layer => inLayer.Select(name => $"blk.{layer}.{name}.weight")),
        ];

        // The head is the embedding: there is no output.weight.
        CollectionAssert.AreEquivalent(expected, GgufModels.Write(s_model, GgufType.F32).Tensors.Keys);
    }

    [TestMethod]
    public void AHeadOfItsOwnIsWritten()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = GgufModels.Golden("llama-mha", folder.Path);
        GgufContent file = GgufModels.Write(model, GgufType.F32);

        CollectionAssert.AreEqual(GgufModels.Weight(model, "lm_head.weight"), file.Values("output.weight"));
        CollectionAssert.AreEqual(GgufModels.Weight(model, "model.embed_tokens.weight"), file.Values("token_embd.weight"));
    }

    [TestMethod]
    public void TheSideOfNeighboursComesFirst()
    {
        GgufContent file = GgufModels.Write(s_model, GgufType.F32);

        CollectionAssert.AreEqual(new long[] { 128, 1024 }, file.Tensors["token_embd.weight"].Sides);
        CollectionAssert.AreEqual(new long[] { 128, 64 }, file.Tensors["blk.0.attn_k.weight"].Sides);
        CollectionAssert.AreEqual(new long[] { 352, 128 }, file.Tensors["blk.0.ffn_down.weight"].Sides);
        CollectionAssert.AreEqual(new long[] { 128 }, file.Tensors["output_norm.weight"].Sides);
    }

    [TestMethod]
    [DataRow(GgufType.F32, GgufContentTensor.F32, 0u)]
    [DataRow(GgufType.F16, GgufContentTensor.F16, 1u)]
    [DataRow(GgufType.BF16, GgufContentTensor.BF16, 32u)]
    [DataRow(GgufType.Q8_0, GgufContentTensor.Q8, 7u)]
    public void MatricesHaveTheTypeAndNormsAreFloat32(GgufType type, uint number, uint fileType)
    {
        GgufContent file = GgufModels.Write(s_model, type);

        Assert.AreEqual(fileType, file.Keys["general.file_type"]);
        foreach ((string name, GgufContentTensor tensor) in file.Tensors)
        {
            Assert.AreEqual(name.Contains("norm", StringComparison.Ordinal) ? GgufContentTensor.F32 : number, tensor.Type, name);
        }
    }

    [TestMethod]
    public void RowsThatAreNoMultipleOf32AreFloat16()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = GgufModels.Golden("llama-mha", folder.Path);
        GgufContent file = GgufModels.Write(model, GgufType.Q8_0);

        Assert.AreEqual(GgufContentTensor.Q8, file.Tensors["blk.0.ffn_up.weight"].Type);
        Assert.AreEqual(GgufContentTensor.F16, file.Tensors["blk.0.ffn_down.weight"].Type);
        CollectionAssert.AreEqual(
            GgufModels.Weight(model, "model.layers.0.mlp.down_proj.weight").Select(value => (float)(Half)value).ToArray(),
            file.Values("blk.0.ffn_down.weight"));
    }

    /// <summary>bf16 is what the bundled model is stored in.</summary>
    [TestMethod]
    [DataRow(GgufType.F32)]
    [DataRow(GgufType.BF16)]
    public void ValuesAreThoseOfTheModel(GgufType type)
    {
        GgufContent file = GgufModels.Write(s_model, type);

        foreach ((string ours, string theirs) in new[]
        {
            ("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("model.layers.5.self_attn.v_proj", "blk.5.attn_v"),
            ("model.layers.3.self_attn.o_proj", "blk.3.attn_output"), ("model.layers.2.post_attention_layernorm", "blk.2.ffn_norm"),
            ("model.layers.1.mlp.gate_proj", "blk.1.ffn_gate"), ("model.layers.1.input_layernorm", "blk.1.attn_norm"),
        })
        {
            CollectionAssert.AreEqual(GgufModels.Weight(s_model, ours + ".weight"), file.Values(theirs + ".weight"), ours);
        }
    }

    /// <summary>Of each head, row i and row i + d/2 become neighbours: 2i and 2i + 1. Biases, too; heads of keys are fewer.</summary>
    [TestMethod]
    [DataRow("q_proj", "attn_q", 4)]
    [DataRow("k_proj", "attn_k", 2)]
    public void RowsOfQueriesAndKeysStandInPairs(string ours, string theirs, int heads)
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = GgufModels.Golden("llama-bias-headdim", folder.Path);
        GgufContent file = GgufModels.Write(model, GgufType.F32);
        int headDim = model.Model.Network.Spec.Attention.HeadDim;

        foreach (string kind in new[] { "weight", "bias" })
        {
            float[] from = GgufModels.Weight(model, $"model.layers.1.self_attn.{ours}.{kind}"), to = file.Values($"blk.1.{theirs}.{kind}");
            int width = from.Length / (heads * headDim);
            for (int head = 0; head < heads; head++)
            {
                for (int row = 0; row < headDim; row++)
                {
                    int target = (head * headDim) + (row < headDim / 2 ? 2 * row : (2 * (row - (headDim / 2))) + 1);
                    CollectionAssert.AreEqual(
                        from.AsSpan(((head * headDim) + row) * width, width).ToArray(), to.AsSpan(target * width, width).ToArray(),
                        $"{kind}, head {head}, row {row}");
                }
            }
        }
    }

    /// <summary>Large tensors never are in memory twice: they are converted some rows at a time.</summary>
    [TestMethod]
    public void ATensorIsWrittenInPieces()
    {
        using var stream = new LargestWrite();
        using Tensor values = zeros(40_000, 640, ScalarType.BFloat16);

        foreach (GgufType type in Enum.GetValues<GgufType>())
        {
            stream.SetLength(0);
            TensorBytes.Write(new GgufTensor("large", values, type), stream);
            Assert.AreEqual(GgufTensor.BytesOf(values.numel(), type), stream.Length);
        }

        Assert.IsLessThanOrEqualTo(16 << 20, stream.Largest);
    }

    private sealed class LargestWrite : Stream
    {
        private long _length;

        public int Largest { get; private set; }

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => _length;

        public override long Position
        {
            get => _length;
            set => throw new NotSupportedException();
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            Largest = Math.Max(Largest, buffer.Length);
            _length += buffer.Length;
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void SetLength(long value) => _length = value;

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    }
}
