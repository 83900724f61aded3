using System.IO.Compression;
using System.Runtime.CompilerServices;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Persistence;

/// <summary>
/// mlContext.Model.Save(model, schema, path) makes the file before it asks the model anything, and leaves the beginning of a zip there
/// where saving fails: because the model is one that cannot be saved, because the disk is full. Nothing is better than that.
/// </summary>
/// <remarks>
/// The file is found through private fields of ML.NET's and of .NET's; where another version has none of that name, it stays. What was
/// there before, ML.NET has truncated already.
/// </remarks>
internal static class UnfinishedZip
{
    /// <summary>Closes and removes the file that the model is being saved to, if that is a file and began with this zip.</summary>
    public static void Remove(ModelSaveContext ctx)
    {
        if (ctx.InRepository && Target(ctx.Repository) is FileStream { CanSeek: true, CanRead: true } file && BeginsWithZip(file))
        {
            string path = RealPath.Of(file.Name);
            file.Dispose();
            File.Delete(path);
        }
    }

    private static Stream? Target(RepositoryWriter repository)
    {
        try
        {
            return Stream(Archive(repository));
        }
        catch (MissingFieldException)
        {
            return null;
        }
    }

    /// <summary>Not so: a device, or a file in which something stands before the zip.</summary>
    private static bool BeginsWithZip(FileStream file)
    {
        Span<byte> start = stackalloc byte[4];
        long position = file.Position;
        file.Position = 0;
        int read = file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        file.Position = position;
        return read == start.Length && start.SequenceEqual("PK\u0003\u0004"u8);
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_archive")]
    private static extern ref ZipArchive Archive(RepositoryWriter repository);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_archiveStream")]
    private static extern ref Stream Stream(ZipArchive archive);
}
