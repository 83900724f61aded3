using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Sorsa.Tests.Persistence;

/// <summary>A model zip in memory with one model, in ML.NET's folder <see cref="Folder"/> of it.</summary>
internal static class ModelZip
{
    public const string Folder = "Transform_000";

    public static MemoryStream Write(Action<ModelSaveContext> save)
    {
        var zip = new MemoryStream();
        using RepositoryWriter repository = RepositoryWriter.CreateNew(zip, new MLContext(seed: 1));
        using (var ctx = new ModelSaveContext(repository, Folder, ModelLoadContext.ModelStreamName))
        {
            ctx.SetVersionInfo(new VersionInfo("TESTTEST", 1, 1, 1, "TestLoader", "None"));
            save(ctx);
            ctx.Done();
        }

        repository.Commit();
        return zip;
    }

    public static T Read<T>(Stream zip, Func<ModelLoadContext, T> load)
    {
        zip.Position = 0;
        using RepositoryReader repository = RepositoryReader.Open(zip, new MLContext(seed: 1));
        using Repository.Entry model = repository.OpenEntry(Folder, ModelLoadContext.ModelStreamName);
        using var ctx = new ModelLoadContext(repository, model, Folder);
        return load(ctx);
    }

    /// <summary>The same zip packed anew, stored or deflated; an entry for which <paramref name="edit"/> gives null is left out.</summary>
    public static MemoryStream Repack(
        Stream zip, Func<string, byte[], byte[]?> edit, CompressionLevel level = CompressionLevel.NoCompression)
    {
        zip.Position = 0;
        var packed = new MemoryStream();
        using (var source = new ZipArchive(zip, ZipArchiveMode.Read, leaveOpen: true))
        using (var target = new ZipArchive(packed, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (ZipArchiveEntry entry in source.Entries)
            {
                byte[] content = new byte[entry.Length];
                using (Stream stream = entry.Open())
                {
                    stream.ReadExactly(content);
                }

                if (edit(entry.Name, content) is { } edited)
                {
                    using Stream stream = target.CreateEntry(entry.FullName, level).Open();
                    stream.Write(edited);
                }
            }
        }

        return packed;
    }
}
