namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// A folder that appears whole or not at all: its files are written to the disk under a temporary name beside its place, and
/// <see cref="Commit"/> renames it. Disposed before that, nothing is left.
/// </summary>
/// <remarks>
/// The bytes are on the disk before the name is. When the name is, is the file system's affair: .NET has no call for it, and a power cut
/// right after <see cref="Commit"/> may still leave the temporary name.
/// </remarks>
internal sealed class NewFolder : IDisposable
{
    private readonly string _target;
    private readonly string _temporary;

    public NewFolder(string target, string argument)
    {
        _target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(target));
        if (File.Exists(_target) || (Directory.Exists(_target) && Directory.EnumerateFileSystemEntries(_target).Any()))
        {
            throw new ArgumentException(
                $"{argument}: '{target}' exists already and is not an empty folder. Name a new folder, or remove this one first.",
                argument);
        }

        _temporary = $"{_target}.{Guid.NewGuid():N}.tmp";
        Directory.CreateDirectory(_temporary);
    }

    /// <summary>Writes one file, to the disk.</summary>
    /// <param name="name">A plain file name; each once.</param>
    /// <param name="write">Writes its content.</param>
    public void WriteFile(string name, Action<Stream> write)
    {
        using FileStream stream = new(Path.Combine(_temporary, name), FileMode.CreateNew);
        write(stream);
        stream.Flush(flushToDisk: true);
    }

    public void Commit()
    {
        if (Directory.Exists(_target))
        {
            Directory.Delete(_target);
        }

        Directory.Move(_temporary, _target);
    }

    public void Dispose()
    {
        if (Directory.Exists(_temporary))
        {
            Directory.Delete(_temporary, recursive: true);
        }
    }
}
