namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// A folder that appears whole or not at all: it is written under a temporary name beside its place and renamed by
/// <see cref="Commit"/>. Disposed before that, nothing is left.
/// </summary>
internal sealed class NewFolder : IDisposable
{
    private readonly string _target;

    public NewFolder(string target, string argument)
    {
        _target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(target));
        if (File.Exists(_target) || (Directory.Exists(_target) && Directory.EnumerateFileSystemEntries(_target).Any()))
        {
            throw new ArgumentException(
                $"{argument}: '{target}' exists already and is not an empty folder. Name a new folder, or remove this one first.",
                argument);
        }

        TemporaryPath = $"{_target}.{Guid.NewGuid():N}.tmp";
        Directory.CreateDirectory(TemporaryPath);
    }

    /// <summary>Where to write.</summary>
    public string TemporaryPath { get; }

    public void Commit()
    {
        if (Directory.Exists(_target))
        {
            Directory.Delete(_target);
        }

        Directory.Move(TemporaryPath, _target);
    }

    public void Dispose()
    {
        if (Directory.Exists(TemporaryPath))
        {
            Directory.Delete(TemporaryPath, recursive: true);
        }
    }
}
