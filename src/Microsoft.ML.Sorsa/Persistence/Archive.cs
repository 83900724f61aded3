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
    /// <exception cref="InvalidDataException">
    /// No plain file name, no such entry or two, one of another length or a compressed one, a damaged zip.
    /// </exception>
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
        string fullName = ArchiveEntry.FullName(ctx.Directory, name);
        ZipArchiveEntry[] found = [.. Archive(ctx.Repository).Entries.Where(entry => entry.FullName == fullName)];
        if (found is not [ZipArchiveEntry entry])
        {
            throw Damaged(name, found.Length == 0 ? "is missing" : $"is there {found.Length} times");
        }

        if (entry.Length != length)
        {
            throw Damaged(name, $"has {entry.Length} bytes, but the model was saved with {length}");
        }

        // As long as the file at most: nothing can be made to grow.
        if (entry.CompressedLength != length)
        {
            throw Damaged(name, "is compressed, and models are saved without: it was packed by another program");
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

    /// <summary>The error of an entry that is not as it was saved.</summary>
    public static InvalidDataException Damaged(string name, string problem, Exception? inner = null) =>
        new(
            $"The entry '{name}' of the model zip {problem}: the zip is damaged or was changed. Save the model or copy the zip again.",
            inner);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_archive")]
    private static extern ref ZipArchive Archive(RepositoryReader repository);
}

/// <summary>
/// What a transformer stores beside its model stream: an entry of ML.NET's zip, in the transformer's own folder of it, uncompressed,
/// its length recorded in the model stream. ML.NET's own way of adding an entry deflates it, through a temporary file, at a sixth of
/// the speed, and weights do not compress.
/// </summary>
internal static class ArchiveEntry
{
    /// <summary>The limit on names, for error messages.</summary>
    public const string NameRule = "a plain file name of letters, digits, '-', '_' and single dots inside";

    /// <summary>
    /// Whether the name is a file's and nothing else on every system: no folders, no drive, nothing hidden. What is written from such
    /// an entry cannot land outside its folder.
    /// </summary>
    public static bool IsPlainName(string name) =>
        name.Length > 0
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
        && name[0] != '.' && name[^1] != '.'
        && !name.Contains("..", StringComparison.Ordinal);

    /// <summary>The entry's full name in the zip: '/' on every system, so that a zip can be read on another one.</summary>
    public static string FullName(string? directory, string name) =>
        string.IsNullOrEmpty(directory) ? name : $"{directory.Replace('\\', '/').TrimEnd('/')}/{name}";
}
