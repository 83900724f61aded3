using System.IO.Compression;
using System.Reflection;
using System.Runtime.ExceptionServices;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Persistence;

/// <summary>
/// ML.NET's model zip as a file that appears whole or not at all. ML.NET's own Save writes to the name it is given: killed, or on a full
/// disk, it leaves an unreadable file where a good one may have been.
/// </summary>
internal static class ModelZipFile
{
    /// <param name="env">ML.NET's environment.</param>
    /// <param name="model">One transformer or a chain.</param>
    /// <param name="inputSchema">The columns that it is given; null: a reader is told none.</param>
    /// <param name="path">The file; it replaces one that is there.</param>
    /// <param name="size">How many bytes it will have at least.</param>
    public static void Write(IHostEnvironment env, ITransformer model, DataViewSchema? inputSchema, string path, long size) =>
        NewFile.Write(
            path,
            stream =>
            {
                // Its own buffer, too: UnfinishedZip leaves alone what is no bare file.
                var buffered = new BufferedStream(stream, 1 << 16);
                new ModelOperationsCatalog(env).Save(model, inputSchema, buffered);
                buffered.Flush();
                VerifyWhole(stream, path);
            },
            size);

    /// <param name="env">ML.NET's environment.</param>
    /// <param name="path">The file.</param>
    /// <exception cref="IOException">The file is not there.</exception>
    /// <exception cref="InvalidDataException">It is no model zip, or a damaged one.</exception>
    public static ITransformer Read(IHostEnvironment env, string path)
    {
        if (!File.Exists(path))
        {
            throw new FileNotFoundException(
                $"The model zip '{path}' does not exist" + (Directory.Exists(path)
                    ? ": it is a folder. A folder in the Hugging Face layout is opened with mlContext.Sorsa().LoadModel."
                    : ". Name a file that Save or mlContext.Model.Save wrote."), path);
        }

        using FileStream stream = RegularFile.OpenRead(path);
        VerifyIsZip(stream, path);
        try
        {
            return new ModelOperationsCatalog(env).Load(stream, out _);
        }
        catch (Exception e) when (IsDamage(e))
        {
            throw new InvalidDataException($"'{path}' cannot be loaded. {Explained(Cause(e))}", e);
        }
        catch (TargetInvocationException e)
        {
            ExceptionDispatchInfo.Throw(Cause(e));
            throw;
        }
    }

    /// <summary>The one transformer of a kind in a loaded model.</summary>
    /// <exception cref="InvalidDataException">There is none, or more than one.</exception>
    public static T Single<T>(ITransformer model, string path)
        where T : ITransformer
    {
        T[] found = [.. Members<T>(model)];
        if (found.Length == 1)
        {
            return found[0];
        }

        (model as IDisposable)?.Dispose();
        throw new InvalidDataException(
            $"'{path}' holds {found.Length} models of this library, and LoadZip gives the one that a zip has. "
            + "Load it with mlContext.Model.Load and take what you need out of it.");
    }

    /// <summary>The transformers of a kind in a model, alone or in chains of chains.</summary>
    public static IEnumerable<T> Members<T>(ITransformer model)
        where T : ITransformer =>
        model is IEnumerable<ITransformer> chain ? chain.SelectMany(Members<T>) : model is T found ? [found] : [];

    /// <summary>
    /// What a loader says of its model's content; and whatever ML.NET stumbles over before it comes to a loader, which has many names.
    /// </summary>
    private static bool IsDamage(Exception e) =>
        Cause(e) is InvalidDataException or FormatException or EndOfStreamException or BadImageFormatException or FileLoadException
        || IsMissingCode(Cause(e))
        || e is not (TargetInvocationException or IOException or UnauthorizedAccessException or OutOfMemoryException);

    /// <summary>A zip names the assemblies of its loaders.</summary>
    private static bool IsMissingCode(Exception e) => e is FileNotFoundException { FileName: { } name } && name.Contains("Culture=");

    /// <summary>What ML.NET says of a zip that it cannot read has neither the file nor a remedy in it.</summary>
    private static string Explained(Exception cause) => cause.Message.Contains("model zip", StringComparison.Ordinal)
        ? cause.Message
        : $"It is no model zip of ML.NET, a damaged one, or one of parts that are not installed here: {NameList.Short(cause.Message, 500)} "
            + "Save the model or copy the zip again.";

    private static void VerifyIsZip(FileStream stream, string path)
    {
        Span<byte> start = stackalloc byte[64];
        start = start[..stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)];
        stream.Position = 0;
        if (!start.StartsWith("PK"u8))
        {
            WrongFile.Verify(path, start);
            throw new InvalidDataException($"'{path}' is no model zip. Name a file that Save or mlContext.Model.Save wrote.");
        }
    }

    /// <summary>ML.NET calls loaders by reflection, a chain in a chain more than once, and leaves the wrappers on.</summary>
    private static Exception Cause(Exception e) =>
        e is TargetInvocationException { InnerException: { } inner } ? Cause(inner) : e;

    /// <summary>ML.NET swallows what goes wrong while the list of a zip's entries is written, at its end.</summary>
    private static void VerifyWhole(Stream stream, string path)
    {
        try
        {
            using var written = new ZipArchive(stream, ZipArchiveMode.Read, leaveOpen: true);
            _ = written.Entries.Count;
        }
        catch (InvalidDataException e)
        {
            throw new IOException($"'{path}' could not be written to its end. Make room on the disk, and save again.", e);
        }
    }
}
