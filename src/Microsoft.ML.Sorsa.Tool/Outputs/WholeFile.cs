using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.Sorsa.Tool.Outputs;

/// <summary>A text as a file that is there whole or not at all: it gets its name when it is written.</summary>
internal static class WholeFile
{
    /// <summary>Writes UTF-8; a file of that name is replaced, and where it is a link, what it leads to.</summary>
    /// <exception cref="IOException">The folder is not there, the disk is full, ...</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder must not be written.</exception>
    public static void Write(string path, string text) => Write(path, writer => writer.Write(text));

    /// <summary>The same, of a text that comes piece by piece.</summary>
    /// <inheritdoc cref="Write(string, string)"/>
    public static void Write(string path, Action<TextWriter> write)
    {
        if (IsDevice(path, out FileStream? device))
        {
            using var there = new StreamWriter(device) { AutoFlush = true };
            write(there);
            return;
        }

        string target = new FileInfo(path) is { LinkTarget: not null } link
            ? link.ResolveLinkTarget(returnFinalTarget: true)!.FullName
            : Path.GetFullPath(path);
        string temporary = Path.Combine(Path.GetDirectoryName(target)!, $".{Path.GetFileName(target)}.{Guid.NewGuid():N}.tmp");
        try
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write))
            using (var writer = new StreamWriter(stream))
            {
                write(writer);
                writer.Flush();
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, target, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>
    /// A terminal, a pipe or a device must not be replaced. They look like empty files, but no place in them can be sought, or they lie
    /// where devices do.
    /// </summary>
    internal static bool IsDevice(string path, [NotNullWhen(true)] out FileStream? opened)
    {
        opened = null;
        if (new FileInfo(path) is not { Exists: true, Length: 0 })
        {
            return false;
        }

        var stream = new FileStream(path, FileMode.Open, FileAccess.Write);
        if (!stream.CanSeek || Path.GetFullPath(path).StartsWith("/dev/", StringComparison.Ordinal))
        {
            opened = stream;
            return true;
        }

        stream.Dispose();
        return false;
    }
}
