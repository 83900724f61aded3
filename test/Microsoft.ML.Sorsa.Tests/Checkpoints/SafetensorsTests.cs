using Microsoft.ML.Sorsa.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Checkpoints;

/// <summary>One safetensors file: what is written, what is read back, and what is refused.</summary>
[TestClass]
[TestCategory("Checkpoints")]
public sealed class SafetensorsTests
{
    private static readonly byte[] Data = [.. Enumerable.Range(0, 24).Select(i => (byte)(7 * i))];

    public static IEnumerable<object[]> Types =>
        [[ScalarType.Float64, "F64", 8], [ScalarType.Float32, "F32", 4], [ScalarType.Float16, "F16", 2], [ScalarType.BFloat16, "BF16", 2]];

    /// <summary>Header, data, and what the error says; the header as a whole where it does not begin with a tensor.</summary>
    public static IEnumerable<object[]> BadHeaders =>
    [
        [Tensor("F32", "2, 3", "0, 20"), "does not fill its 20 bytes"],
        [Tensor("F32", "2, 2", "0, 24"), "does not fill its 24 bytes"],
        [Tensor("F32", "", "0, 24"), "does not fill its 24 bytes"],
        [Tensor("F32", "-2, -3", "0, 24"), "does not fill its 24 bytes"],
        [Tensor("F32", "0", "0, 24"), "does not fill its 24 bytes"],
        [Tensor("F32", "4611686018427387904, 4", "0, 24"), "impossible shape"],
        [Tensor("F32", "9223372036854775807", "0, 24"), "impossible shape"],
        [Tensor("F32", "9223372036854775808", "0, 24"), "not the JSON that the format demands"],
        [Tensor("F32", "6.5", "0, 24"), "not the JSON that the format demands"],
        [Tensor("F32", "\"6\"", "0, 24"), "not the JSON that the format demands"],
        [Tensor("F32", "6", "24, 0"), "claims the bytes [24, 0]"],
        [Tensor("F32", "6", "-24, 0"), "claims the bytes [-24, 0]"],
        [Tensor("F32", "7", "0, 28"), "claims the bytes [0, 28] of 24"],
        [Tensor("F32", "6", "0"), "claims the bytes [0]"],
        [Tensor("F32", "6", "0, 24, 48"), "claims the bytes [0, 24, 48]"],
        [Tensor("F32", "3", "0, 12"), "take 12 bytes and 24 are there"],
        [Tensor("F32", "3", "12, 24"), "begins at byte 12 and the one before it ends at 0"],
        [Tensor("F32", "4", "0, 16") + "," + RawSafetensors.Entry("b", "F32", "4", "8, 24"),
            "begins at byte 8 and the one before it ends at 16"],
        [Tensor("F32", "6", "0, 24") + "," + RawSafetensors.Entry("b", "F32", "6", "0, 24"),
            "begins at byte 0 and the one before it ends at 24"],
        [Tensor("F32", "2", "0, 8") + "," + RawSafetensors.Entry("b", "F32", "2", "16, 24"),
            "begins at byte 16 and the one before it ends at 8"],
        [Tensor("F32", "6", "0, 24") + "," + Tensor("F32", "6", "0, 24"), "'a' is named twice"],
        [Tensor("F8_E4M3", "25", "0, 24"), "does not fill its 24 bytes"],
        [Tensor("F4", "47", "0, 24"), "does not fill its 24 bytes"],
        [Tensor("F9", "24", "0, 24"), "dtype 'F9'"],
        [Tensor("f32", "6", "0, 24"), "dtype 'f32'"],
        ["\"a\":{\"shape\":[6],\"data_offsets\":[0,24]}", "has no dtype"],
        ["\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,24]}", "has no shape"],
        ["\"a\":{\"dtype\":\"F32\",\"shape\":[6]}", "has no data_offsets"],
        ["\"a\":{\"dtype\":null,\"shape\":[6],\"data_offsets\":[0,24]}", "dtype 'null'"],
        ["\"a\":{\"dtype\":4,\"shape\":[6],\"data_offsets\":[0,24]}", "not the JSON that the format demands"],
        ["\"a\":{\"dtype\":\"F32\",\"shape\":6,\"data_offsets\":[0,24]}", "not the JSON that the format demands"],
        ["\"a\":[]", "not the JSON that the format demands"],
        ["\"a\":", "not the JSON that the format demands"],
        ["\"\\ud800\":{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":[0,24]}", "not the JSON that the format demands"],
        [string.Concat(Enumerable.Repeat("\"a\":{", 200)) + new string('}', 200), "not the JSON that the format demands"],
    ];

    [TestMethod]
    [DynamicData(nameof(Types))]
    public void WhatIsWrittenFollowsTheFormat(ScalarType type, string name, int size)
    {
        using var scope = NewDisposeScope();
        KeyValuePair<string, Tensor>[] tensors = Samples(type);

        byte[] file = Written(tensors, type);

        Assert.AreEqual(0, BitConverter.ToInt64(file) % 8);
        var read = RawSafetensors.Read(file);
        CollectionAssert.AreEqual(tensors.Select(named => named.Key).ToArray(), read.Select(tensor => tensor.Name).ToArray());
        foreach (((string _, Tensor expected), (string _, string typeName, long[] shape, byte[] bytes)) in tensors.Zip(read))
        {
            Assert.AreEqual(name, typeName);
            CollectionAssert.AreEqual(expected.shape, shape);
            Assert.HasCount((int)expected.numel() * size, bytes);
            Assert.IsTrue(bytes.AsSpan().SequenceEqual(expected.contiguous().bytes));
        }
    }

    [TestMethod]
    [DynamicData(nameof(Types))]
    public void BitsComeBackFromFileAndStream(ScalarType type, string name, int size)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        KeyValuePair<string, Tensor>[] tensors = Samples(type);
        byte[] file = Written(tensors, type);
        File.WriteAllBytes(folder.File("any.safetensors"), file);
        using Checkpoint mapped = Checkpoint.OpenFile(folder.File("any.safetensors"));
        using var trickle = new TrickleStream(file);
        using Checkpoint streamed = Checkpoint.Read(trickle, file.Length, "the stream");

        foreach (Checkpoint checkpoint in new[] { mapped, streamed })
        {
            CollectionAssert.AreEquivalent(tensors.Select(named => named.Key).ToArray(), checkpoint.Names.ToArray());
            foreach ((string key, Tensor expected) in tensors)
            {
                Tensor actual = checkpoint.Tensors[key];
                Assert.AreEqual(type, actual.dtype, $"{name}, {size} bytes");
                CollectionAssert.AreEqual(expected.shape, actual.shape);
                Assert.IsTrue(expected.contiguous().bytes.SequenceEqual(actual.bytes), key);
            }
        }
    }

    [TestMethod]
    public void WritingConvertsAndRoundsOnce()
    {
        using var scope = NewDisposeScope();

        // Halfway between two bfloat16: to the even one; a float16 step in between would lose the last one's tail.
        using Tensor values = tensor(new float[] { 1.00390625f, 1.01171875f, -0f, float.PositiveInfinity, 1.0039064f });

        byte[] bytes = RawSafetensors.Read(Written([new("a", values)], ScalarType.BFloat16)).Single().Bytes;

        CollectionAssert.AreEqual(new byte[] { 0x80, 0x3f, 0x82, 0x3f, 0x00, 0x80, 0x80, 0x7f, 0x81, 0x3f }, bytes);
    }

    [TestMethod]
    public void AFileThatOthersWroteIsRead()
    {
        // Unpadded header, so that no tensor is aligned; entries in another order than their bytes; metadata; trailing spaces.
        byte[] file = RawSafetensors.File(
            "{" + RawSafetensors.Entry("b", "F32", "2", "2, 10") + "," + RawSafetensors.Entry("a", "BF16", "1, 1", "0, 2") + ","
            + RawSafetensors.Entry("c", "I64", "", "10, 18") + ",\"__metadata__\":{\"format\":\"pt\"}}  ",
            [0x80, 0x3f, .. BitConverter.GetBytes(1.5f), .. BitConverter.GetBytes(-2f), .. BitConverter.GetBytes(-7L)]);
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("a.safetensors"), file);
        using Checkpoint mapped = Checkpoint.OpenFile(folder.File("a.safetensors"));
        using Checkpoint streamed = Checkpoint.Read(new MemoryStream(file), file.Length, "the stream");

        float[] doubled = [3f, -4f];
        string[] names = ["a", "b", "c"];
        foreach (Checkpoint checkpoint in new[] { mapped, streamed })
        {
            Assert.AreEqual(1f, checkpoint.Tensors["a"].to(ScalarType.Float32).item<float>());
            CollectionAssert.AreEqual(doubled, (checkpoint.Tensors["b"] * 2).data<float>().ToArray());
            Assert.AreEqual(-7L, checkpoint.Tensors["c"].item<long>());
            CollectionAssert.AreEqual(names, checkpoint.Names.ToArray());
        }
    }

    [TestMethod]
    [DataRow("{}")]
    [DataRow("{\"__metadata__\":{}}")]
    public void AFileWithoutTensorsIsEmpty(string header)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("a.safetensors"), RawSafetensors.File(header, []));
        using Checkpoint checkpoint = Checkpoint.OpenFile(folder.File("a.safetensors"));

        Assert.IsEmpty(checkpoint.Names);
    }

    [TestMethod]
    [DynamicData(nameof(BadHeaders))]
    public void ABadHeaderIsRefused(string tensors, string message) =>
        AssertRefused(RawSafetensors.File("{" + tensors + "}", Data), message);

    [TestMethod]
    [DataRow("")]
    [DataRow("[]")]
    [DataRow("null")]
    [DataRow("pickle")]
    [DataRow("{} {}")]
    public void AHeaderThatIsNoObjectIsRefused(string header) =>
        AssertRefused(RawSafetensors.File(header, []), "not the JSON that the format demands");

    [TestMethod]
    [DataRow(ulong.MaxValue, "claims 18446744073709551615 bytes")]
    [DataRow(1UL << 63, "claims 9223372036854775808 bytes")]
    [DataRow(100_000_001UL, "claims 100000001 bytes")]
    [DataRow(1_000UL, "claims 1000 bytes")]
    public void AHeaderLengthBeyondTheFileIsRefused(ulong length, string message) =>
        AssertRefused(RawSafetensors.File("{}", Data, length), message);

    [TestMethod]
    public void AHeaderOver100MegabytesIsRefusedThoughItIsThere()
    {
        using var stream = new MemoryStream(BitConverter.GetBytes(100_000_001UL));

        var error = Assert.ThrowsExactly<InvalidDataException>(() => SafetensorsHeader.Read(stream, length: 200_000_000, "a.safetensors"));

        Assert.Contains("at most 100000000 are read", error.Message);
    }

    [TestMethod]
    public void AFileThatIsCutAnywhereIsRefused()
    {
        byte[] whole = RawSafetensors.File("{" + Tensor("F32", "6", "0, 24") + "}", Data);
        for (int length = 0; length < whole.Length; length++)
        {
            AssertRefused(whole[..length], "a.safetensors");
        }

        AssertRefused([.. whole, 0], "take 24 bytes and 25 are there");
    }

    [TestMethod]
    public void AStreamThatEndsEarlyIsRefused()
    {
        byte[] whole = RawSafetensors.File("{" + Tensor("F32", "6", "0, 24") + "}", Data);
        for (int length = 0; length < whole.Length; length++)
        {
            using var stream = new TrickleStream(whole[..length]);

            var error = Assert.ThrowsExactly<InvalidDataException>(() => Checkpoint.Read(stream, whole.Length, "the entry"));

            Assert.Contains("'the entry' is cut short", error.Message);
        }
    }

    [TestMethod]
    public void AMissingFileIsNamed()
    {
        var error = Assert.ThrowsExactly<FileNotFoundException>(() => Checkpoint.OpenFile("nowhere.safetensors"));

        Assert.Contains("'nowhere.safetensors' does not exist", error.Message);
    }

    [TestMethod]
    public void ATypeThatTheFormatDoesNotHaveIsNotWritten()
    {
        using Tensor values = zeros(2);

        Assert.ThrowsExactly<NotSupportedException>(
            () => CheckpointWriter.Write(Stream.Null, [new("a", values)], ScalarType.ComplexFloat64));
    }

    private static void AssertRefused(byte[] file, string message)
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("a.safetensors");
        File.WriteAllBytes(path, file);

        var error = Assert.ThrowsExactly<InvalidDataException>(() => Checkpoint.OpenFile(path));

        Assert.Contains(path, error.Message);
        Assert.Contains(message, error.Message);
        Assert.Contains("Fetch or write the file again", error.Message);
    }

    private static string Tensor(string dtype, string shape, string offsets) => RawSafetensors.Entry("a", dtype, shape, offsets);

    private static byte[] Written(KeyValuePair<string, Tensor>[] tensors, ScalarType type)
    {
        using var stream = new MemoryStream();
        CheckpointWriter.Write(stream, tensors, type);
        return stream.ToArray();
    }

    /// <summary>Names that need escapes, an empty tensor, a scalar, one that is not contiguous, odd bits.</summary>
    private static KeyValuePair<string, Tensor>[] Samples(ScalarType type) =>
    [
        new("z.weight", arange(-3, 4, ScalarType.Float32).div(7).to(type)),
        new("empty", zeros([0, 5], type)),
        new("a \"quoted\" ñ \u0001", tensor(new float[] { 0f, -0f, float.NaN, float.NegativeInfinity, 1e-30f, 6e-8f }).to(type)),
        new("scalar", tensor(-2.5f).to(type)),
        new("transposed", arange(12, ScalarType.Float32).view(3, 4).t().to(type)),
        new("last empty", zeros([3, 0], type)),
    ];
}
