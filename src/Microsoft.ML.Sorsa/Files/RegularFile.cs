using System.Globalization;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// Opens a file that somebody else wrote. A pipe would keep its reader waiting for ever, and a device has no end: both have a length of 0,
/// as an empty file has, and nothing of that length is opened.
/// </summary>
internal static class RegularFile
{
    /// <summary>What is read into memory as a whole at most; the largest tokenizers have some 40 MB.</summary>
    public const int MostBytes = 1 << 29;

    /// <summary>
    /// Whether a folder has a file. One that is there under another spelling would be passed over in silence, and its settings with it.
    /// </summary>
    /// <exception cref="InvalidDataException">Something else has the name, or a file whose letters differ in case.</exception>
    public static bool Exists(string folder, string name)
    {
        if (File.Exists(Path.Combine(folder, name)))
        {
            return true;
        }

        var anyCase = new EnumerationOptions { MatchCasing = MatchCasing.CaseInsensitive, AttributesToSkip = FileAttributes.None };
        return Directory.EnumerateFileSystemEntries(folder, name, anyCase).FirstOrDefault() is not { } other
            ? false
            : throw new InvalidDataException(Path.GetFileName(other) == name
                ? $"'{other}' is a folder and no file. Put the file of that name in its place, or remove it."
                : $"'{other}' would be '{name}', but for the case of its letters. Rename it, or remove it.");
    }

    /// <summary>Opens a file to read it from its beginning.</summary>
    /// <exception cref="FileNotFoundException">It is not there, or is a link to what is not there.</exception>
    /// <exception cref="InvalidDataException">It is empty, or a pipe or a device.</exception>
    public static FileStream OpenRead(string path)
    {
        if (Target(path) is not { Exists: true } target)
        {
            throw Missing(path);
        }

        return target.Length > 0
            ? new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read)
            : throw new InvalidDataException($"'{path}' is empty, or a pipe or a device and no file. {WrongFile.FetchAgain}.");
    }

    /// <summary>The whole content of a small file.</summary>
    /// <exception cref="FileNotFoundException">It is not there, or is a link to what is not there.</exception>
    /// <exception cref="InvalidDataException">It is empty, too large, no file at all, or one of those that <see cref="WrongFile"/> knows.
    /// </exception>
    public static byte[] ReadAllBytes(string path)
    {
        using FileStream file = OpenRead(path);
        if (file.Length > MostBytes)
        {
            throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture,
                $"'{path}' has {file.Length} bytes, and files of its kind are read up to {MostBytes}. {WrongFile.FetchAgain}."));
        }

        var content = new byte[file.Length];
        try
        {
            file.ReadExactly(content);
        }
        catch (EndOfStreamException e)
        {
            throw new InvalidDataException($"'{path}' was cut short while it was read. {WrongFile.FetchAgain}.", e);
        }

        WrongFile.Verify(path, content);
        return content;
    }

    /// <summary>What a link leads to, and any other file itself; null where links run in a circle.</summary>
    private static FileInfo? Target(string path)
    {
        var file = new FileInfo(path);
        if (file.LinkTarget is null)
        {
            return file;
        }

        try
        {
            return new FileInfo(file.ResolveLinkTarget(returnFinalTarget: true)!.FullName);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static FileNotFoundException Missing(string path) => new(
        new FileInfo(path).LinkTarget is { } target
            ? $"'{path}' is a link to '{target}', which leads to no file: a download that did not end, or whose files were removed. "
                + $"{WrongFile.FetchAgain}."
            : $"'{path}' {(Directory.Exists(path) ? "is a folder and no file" : "does not exist")}.",
        path);
}
