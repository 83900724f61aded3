namespace Microsoft.ML.Sorsa.Tool.Outputs;

/// <summary>What a verb writes is no two things at once, and nothing that it reads.</summary>
internal static class DistinctPaths
{
    /// <summary>As many links as Linux follows.</summary>
    private const int MostLinks = 40;

    private static readonly StringComparer s_comparer = OperatingSystem.IsWindows() || OperatingSystem.IsMacOS()
        ? StringComparer.OrdinalIgnoreCase
        : StringComparer.Ordinal;

    /// <summary>Refuses an output that is another one, or a file that is read, before anything is computed.</summary>
    /// <param name="outputs">Options and what they name; null: they name nothing.</param>
    /// <param name="inputs">The files that the verb reads.</param>
    /// <exception cref="CommandException">One would be in the place of another.</exception>
    public static void Verify(IEnumerable<(string Option, string? Path)> outputs, IEnumerable<string> inputs)
    {
        var written = new Dictionary<string, string>(s_comparer);
        foreach ((string option, string? path) in outputs)
        {
            if (path is null)
            {
                continue;
            }

            if (!written.TryAdd(Real(path), option))
            {
                string other = written[Real(path)];
                throw new CommandException(ExitCode.Output,
                    $"'{path}' is to be written by {(other == option ? option : $"{other} and {option}")}: one would be in the place "
                    + $"of the other. Name another place with {option}.");
            }
        }

        foreach (string read in inputs)
        {
            if (written.TryGetValue(Real(read), out string? option))
            {
                throw new CommandException(ExitCode.Output,
                    $"{option} is '{read}', which is read, and would be overwritten. Name another file with {option}.");
            }
        }
    }

    /// <summary>Where a path leads, links followed, in its middle too.</summary>
    private static string Real(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        for (int links = 0; links < MostLinks && new FileInfo(full).LinkTarget is { } target; links++)
        {
            full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(target, Path.GetDirectoryName(full)!));
        }

        return Path.GetDirectoryName(full) is { } folder ? Path.Combine(Real(folder), Path.GetFileName(full)) : full;
    }
}
