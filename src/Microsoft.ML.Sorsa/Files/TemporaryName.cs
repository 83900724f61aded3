namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// The name of a file or folder while it is being written, NAME.32HEX.tmp beside its place. What a killed process left under such names
/// is removed by the next that writes to the same place.
/// </summary>
/// <remarks>
/// Whoever writes holds a lock on the file until it is renamed (FileStream takes one, and the system gives it back with the process,
/// however that ends): what can be locked is nobody's any more.
/// </remarks>
internal static class TemporaryName
{
    private const string Extension = ".tmp";
    private const int HexLength = 32;

    /// <summary>A file is locked just after it was made: an empty one may be that of somebody who has not come to it yet.</summary>
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(10);

    public static string For(string path) => $"{path}.{Guid.NewGuid():N}{Extension}";

    /// <summary>A new file, locked as long as it is open; it can be renamed meanwhile.</summary>
    public static FileStream Create(string path) => new(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete);

    /// <summary>Whether the name is that of a file or folder that is being written, or was.</summary>
    /// <param name="name">A name without its folder.</param>
    /// <param name="of">What it will be called in the end; null: anything.</param>
    public static bool Is(string name, string? of = null)
    {
        int hex = name.Length - Extension.Length - HexLength;
        return hex > 1 && name[hex - 1] == '.' && name.EndsWith(Extension, StringComparison.Ordinal)
            && name.Skip(hex).Take(HexLength).All(char.IsAsciiHexDigitLower)
            && (of is null || name.AsSpan(0, hex - 1).SequenceEqual(of));
    }

    /// <summary>Removes what nobody writes any more.</summary>
    /// <param name="folder">Where to look.</param>
    /// <param name="of">See <see cref="Is"/>.</param>
    public static void RemoveLeftovers(string folder, string? of = null)
    {
        foreach (string path in Entries(folder).Where(path => Is(Path.GetFileName(path), of)))
        {
            if (!Directory.Exists(path))
            {
                RemoveFile(path);
            }
            else if (Entries(path) is var files && (files.Length > 0 || Directory.GetLastWriteTimeUtc(path) < DateTime.UtcNow - s_grace)
                && files.All(RemoveFile))
            {
                Attempt(() => Directory.Delete(path));
            }
        }
    }

    /// <returns>Whether it is gone.</returns>
    private static bool RemoveFile(string path)
    {
        var file = new FileInfo(path);
        return !file.Exists || ((file.Length > 0 || file.LastWriteTimeUtc < DateTime.UtcNow - s_grace) && Attempt(
            () => new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, 0, FileOptions.DeleteOnClose).Dispose()));
    }

    private static string[] Entries(string folder)
    {
        string[] entries = [];
        Attempt(() => entries = Directory.GetFileSystemEntries(folder));
        return entries;
    }

    /// <summary>
    /// What is locked, somebody else's, or gone meanwhile stays: it is in nobody's way, and the write itself says what is wrong.
    /// </summary>
    private static bool Attempt(Action act)
    {
        try
        {
            act();
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
