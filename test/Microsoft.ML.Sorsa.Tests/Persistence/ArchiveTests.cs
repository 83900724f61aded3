using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Sorsa.Persistence;

namespace Microsoft.ML.Sorsa.Tests.Persistence;

[TestClass]
[TestCategory("Persistence")]
public sealed class ArchiveTests
{
    private const string Name = "model.safetensors";

    private static readonly byte[] s_content = [.. Enumerable.Range(0, 100_000).Select(i => (byte)(i % 251))];

    [TestMethod]
    public void WhatIsWrittenIsRead()
    {
        using MemoryStream zip = ModelZip.Write(ctx =>
        {
            ctx.Writer.Write(17);
            ArchiveWriter.WriteStored(ctx, Name, stream =>
            {
                stream.Write(s_content.AsSpan(0, 10));
                stream.Write(s_content.AsSpan(10));
            });
            ArchiveWriter.WriteStored(ctx, "empty.json", _ => { });
            ArchiveWriter.WriteStored(ctx, "again.bin", stream => stream.Write(s_content));
            ctx.Writer.Write(18);
        });

        ModelZip.Read(zip, ctx =>
        {
            Assert.AreEqual(17, ctx.Reader.ReadInt32());
            CollectionAssert.AreEqual(s_content, ArchiveReader.ReadBytes(ctx, Name));
            Assert.IsEmpty(ArchiveReader.ReadBytes(ctx, "empty.json"));
            CollectionAssert.AreEqual(s_content, ReadAll(ctx, "again.bin"));
            Assert.AreEqual(18, ctx.Reader.ReadInt32());
            return 0;
        });
    }

    [TestMethod]
    public void EntriesAreStoredInTheModelsFolderWithoutATime()
    {
        using MemoryStream zip = Valid();
        using var archive = new ZipArchive(zip);
        ZipArchiveEntry entry = archive.Entries.Single(e => e.Name == Name);

        Assert.AreEqual($"{ModelZip.Folder}/{Name}", entry.FullName);
        Assert.AreEqual(s_content.Length, entry.Length);
        Assert.AreEqual(entry.Length, entry.CompressedLength);
        Assert.AreEqual(new DateTime(1980, 1, 1), entry.LastWriteTime.DateTime);
    }

    [TestMethod]
    public void AZipThatSomebodyPackedAnewIsReadIfItsEntriesAreStored()
    {
        using MemoryStream packed = ModelZip.Repack(Valid(), (_, content) => content);
        CollectionAssert.AreEqual(s_content, ModelZip.Read(packed, ctx => ReadAll(ctx, Name)));
        CollectionAssert.AreEqual(s_content, ModelZip.Read(packed, ctx => ArchiveReader.ReadBytes(ctx, Name)));

        using MemoryStream deflated = ModelZip.Repack(Valid(), (_, content) => content, CompressionLevel.Optimal);
        var error = Assert.ThrowsExactly<InvalidDataException>(
            () => ModelZip.Read(deflated, ctx => ArchiveReader.ReadBytes(ctx, Name)));
        Assert.Contains($"The entry '{Name}' of the model zip is compressed", error.Message);
    }

    [TestMethod]
    public void AnEntryThatIsThereTwiceIsAnError()
    {
        using MemoryStream zip = Valid();
        using (var archive = new ZipArchive(zip, ZipArchiveMode.Update, leaveOpen: true))
        {
            using Stream second = archive.CreateEntry($"{ModelZip.Folder}/{Name}", CompressionLevel.NoCompression).Open();
            second.Write(s_content);
        }

        var error = Assert.ThrowsExactly<InvalidDataException>(() => ModelZip.Read(zip, ctx => ArchiveReader.ReadBytes(ctx, Name)));
        Assert.Contains($"The entry '{Name}' of the model zip is there 2 times", error.Message);
    }

    [TestMethod]
    [DataRow(-1, "is missing")]
    [DataRow(0, "has 0 bytes, but the model was saved with 100000")]
    [DataRow(99_999, "has 99999 bytes, but the model was saved with 100000")]
    public void AnEntryThatIsNotAsItWasSavedIsAnError(int length, string problem)
    {
        using MemoryStream packed = ModelZip.Repack(
            Valid(), (name, content) => name != Name ? content : length < 0 ? null : content[..length]);
        foreach (Func<ModelLoadContext, byte[]> read in new Func<ModelLoadContext, byte[]>[]
        {
            ctx => ReadAll(ctx, Name), ctx => ArchiveReader.ReadBytes(ctx, Name),
        })
        {
            var error = Assert.ThrowsExactly<InvalidDataException>(() => ModelZip.Read(packed, read));
            Assert.Contains($"The entry '{Name}' of the model zip {problem}", error.Message);
        }
    }

    [TestMethod]
    public void AnEntryWhoseHeaderIsDamagedIsAnError()
    {
        byte[] bytes = Valid().ToArray();
        int name = bytes.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes($"{ModelZip.Folder}/{Name}"));
        bytes[name - 30] ^= 0xFF; // the signature of the entry's local header, 30 bytes before its name
        var error = Assert.ThrowsExactly<InvalidDataException>(
            () => ModelZip.Read(new MemoryStream(bytes), ctx => ArchiveReader.ReadBytes(ctx, Name)));
        Assert.Contains($"The entry '{Name}' of the model zip cannot be opened", error.Message);
    }

    [TestMethod]
    [DataRow("")]
    [DataRow(".")]
    [DataRow("..")]
    [DataRow("../x.json")]
    [DataRow("..\\x.json")]
    [DataRow("a/b.json")]
    [DataRow("a\\b.json")]
    [DataRow("/etc/x")]
    [DataRow("C:x")]
    [DataRow("x.json:stream")]
    [DataRow(".hidden")]
    [DataRow("x..json")]
    [DataRow("x.")]
    [DataRow("x\0.json")]
    [DataRow("x .json")]
    [DataRow("ｘ.json")]
    public void ANameThatIsNoPlainFileNameIsRefusedBothWays(string name)
    {
        bool written = false;
        Assert.ThrowsExactly<ArgumentException>(
            () => ModelZip.Write(ctx => ArchiveWriter.WriteStored(ctx, name, _ => written = true)));
        Assert.IsFalse(written);

        foreach (Func<ModelLoadContext, object> read in new Func<ModelLoadContext, object>[]
        {
            ctx => ArchiveReader.OpenStream(ctx, name, out _),
            ctx => ArchiveReader.ReadBytes(ctx, name),
        })
        {
            var error = Assert.ThrowsExactly<InvalidDataException>(() => ModelZip.Read(Valid(), read));
            Assert.Contains($"'{name}'", error.Message);
        }
    }

    [TestMethod]
    public void ABareStreamHasNoEntries()
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        using var save = new ModelSaveContext(writer);
        Assert.ThrowsExactly<NotSupportedException>(() => ArchiveWriter.WriteStored(save, Name, _ => { }));
    }

    private static MemoryStream Valid() =>
        ModelZip.Write(ctx => ArchiveWriter.WriteStored(ctx, Name, stream => stream.Write(s_content)));

    private static byte[] ReadAll(ModelLoadContext ctx, string name)
    {
        using Stream stream = ArchiveReader.OpenStream(ctx, name, out _);
        using var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray();
    }
}
