using System.IO.Compression;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Sorsa.Persistence;

/// <summary>Reads the entries that <see cref="ArchiveWriter"/> added, in the same order, while the model is being loaded.</summary>
internal static class ArchiveReader
{
    /// <summary>
    /// Opens one entry, once what the model stream says about its length has been read and found true. Read it from first to last
    /// byte, before the loading of the model ends; it comes straight from the zip, without a copy on disk.
    /// </summary>
    /// <param name="ctx">From the loader's Create method, after its version info was checked.</param>
    /// <param name="name">The name that it was written under.</param>
    /// <param name="length">Its bytes.</param>
    /// <exception cref="InvalidDataException">No plain file name, no such entry, an entry of another length, a damaged zip.</exception>
    /// <exception cref="NotSupportedException">The model is being loaded from something else than a zip.</exception>
    public static Stream OpenStream(ModelLoadContext ctx, string name, out long length) => Open(ctx, name, out length);

    /// <summary>The whole content of one entry, for those that are small.</summary>
    /// <param name="ctx">From the loader's Create method, after its version info was checked.</param>
    /// <param name="name">The name that it was written under.</param>
    /// <exception cref="InvalidDataException">As for <see cref="OpenStream"/>, or the content ends early.</exception>
    /// <exception cref="NotSupportedException">As for <see cref="OpenStream"/>, or the entry is longer than an array can be.</exception>
    public static byte[] ReadBytes(ModelLoadContext ctx, string name)
    {
        using Stream content = Open(ctx, name, out long length);
        if (length > Array.MaxLength)
        {
            throw new NotSupportedException(
                $"The entry '{name}' of the model zip has {length} bytes, an array at most {Array.MaxLength}; read it as a stream.");
        }

        byte[] bytes = new byte[length];
        try
        {
            content.ReadExactly(bytes);
        }
        catch (EndOfStreamException e)
        {
            throw Damaged(name, $"ends before its {length} bytes", e);
        }

        return bytes;
    }

    private static Stream Open(ModelLoadContext ctx, string name, out long length)
    {
        if (!ctx.InRepository)
        {
            throw new NotSupportedException(
                $"'{name}' is an entry of a model zip, but the model is being loaded from a bare stream; use mlContext.Model.Load.");
        }

        if (!ArchiveEntry.IsPlainName(name))
        {
            throw new InvalidDataException(
                $"The model names an entry '{name}' of its zip; it must be {ArchiveEntry.NameRule}. Nothing of it was read.");
        }

        length = ctx.Reader.ReadInt64();
        ZipArchiveEntry entry = Archive(ctx.Repository).GetEntry(ArchiveEntry.FullName(ctx.Directory, name))
            ?? throw Damaged(name, "is missing");
        if (entry.Length != length)
        {
            throw Damaged(name, $"has {entry.Length} bytes, but the model was saved with {length}");
        }

        try
        {
            return entry.Open();
        }
        catch (InvalidDataException e)
        {
            throw Damaged(name, "cannot be opened", e);
        }
    }

    private static InvalidDataException Damaged(string name, string problem, Exception? inner = null) =>
        new(
            $"The entry '{name}' of the model zip {problem}: the zip was cut short or changed. Save the model or copy the zip again.",
            inner);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_archive")]
    private static extern ref ZipArchive Archive(RepositoryReader repository);
}
