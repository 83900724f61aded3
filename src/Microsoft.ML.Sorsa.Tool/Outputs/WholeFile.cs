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
        // An empty file has nothing to lose, and a terminal, a pipe or a device, which must not be replaced, looks like one.
        if (new FileInfo(path) is { Exists: true, Length: 0 })
        {
            using var there = new StreamWriter(path) { AutoFlush = true };
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
}
