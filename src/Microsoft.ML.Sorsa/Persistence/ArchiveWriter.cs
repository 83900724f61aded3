using System.IO.Compression;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Sorsa.Persistence;

/// <summary>Adds entries to the model zip that is being saved; <see cref="ArchiveReader"/> reads them in the same order.</summary>
internal static class ArchiveWriter
{
    // The earliest time that a zip can hold: the same model gives the same entry at any hour.
    private static readonly DateTimeOffset s_time = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>
    /// Adds one entry and then writes its length to the model stream (Int64, at its current place). No size limit.
    /// </summary>
    /// <param name="ctx">From <see cref="ICanSaveModel.Save"/>, after its version info was set.</param>
    /// <param name="name">A plain file name; once per transformer.</param>
    /// <param name="write">Writes the content from first to last byte, leaves the stream open, and adds no other entry meanwhile.</param>
    /// <exception cref="ArgumentException">The name is not a plain file name.</exception>
    /// <exception cref="NotSupportedException">The model is being saved to something else than a zip.</exception>
    public static void WriteStored(ModelSaveContext ctx, string name, Action<Stream> write)
    {
        if (!ArchiveEntry.IsPlainName(name))
        {
            throw new ArgumentException(
                $"'{name}' cannot name an entry of the model zip; it must be {ArchiveEntry.NameRule}.", nameof(name));
        }

        if (!ctx.InRepository)
        {
            throw new NotSupportedException(
                $"'{name}' goes into a model zip, but the model is being saved to a bare stream; use mlContext.Model.Save.");
        }

        string fullName = ArchiveEntry.FullName(ctx.Directory, name);
        ZipArchiveEntry entry = Archive(ctx.Repository).CreateEntry(fullName, CompressionLevel.NoCompression);
        entry.LastWriteTime = s_time;
        using Stream content = entry.Open();
        write(content);
        ctx.Writer.Write(content.Position);
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_archive")]
    private static extern ref ZipArchive Archive(RepositoryWriter repository);
}
