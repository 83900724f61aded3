namespace Microsoft.ML.Sorsa.Persistence;

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
