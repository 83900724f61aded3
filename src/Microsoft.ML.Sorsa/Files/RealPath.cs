namespace Microsoft.ML.Sorsa.Files;

/// <summary>Where a path leads in the end: links are followed, in its middle too, so that what is renamed there replaces no link.</summary>
internal static class RealPath
{
    /// <summary>As many links as Linux follows.</summary>
    private const int MostLinks = 40;

    /// <param name="path">It, or what its links lead to, need not be there.</param>
    /// <exception cref="IOException">The links run in a circle.</exception>
    public static string Of(string path)
    {
        string full = Path.GetFullPath(path), resolved = Path.GetPathRoot(full)!;
        var rest = new Stack<string>(Parts(full));
        for (int links = 0; rest.TryPop(out string? part);)
        {
            if (part == "..")
            {
                resolved = Path.GetDirectoryName(resolved) ?? resolved;
                continue;
            }

            string next = Path.Combine(resolved, part);
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                resolved = next;
                continue;
            }

            if (++links > MostLinks)
            {
                throw new IOException($"'{path}' leads through more than {MostLinks} links, which run in a circle. Name the place itself.");
            }

            resolved = Path.IsPathRooted(target) ? Path.GetPathRoot(target)! : resolved;
            foreach (string step in Parts(target))
            {
                rest.Push(step);
            }
        }

        return resolved;
    }

    /// <summary>The last first, and none that leads nowhere.</summary>
    private static IEnumerable<string> Parts(string path) =>
        path[(Path.GetPathRoot(path)?.Length ?? 0)..]
            .Split(Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar)
            .Where(part => part is not ("" or ".")).Reverse();
}
