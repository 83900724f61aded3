using System.Globalization;

namespace Microsoft.ML.Sorsa.Memory;

/// <summary>
/// What the container's limit leaves (Linux control groups, version 1 and 2): of every group from this process's own up to the root, the
/// limit less what is in use. The cache of files in it counts as free: the kernel gives it up before it ends a process.
/// </summary>
/// <param name="root">Where proc and sys are; "/" but in tests.</param>
internal sealed class ControlGroup(string root)
{
    private static readonly (string Limit, string Usage, string[] Cache) s_first =
        ("memory.limit_in_bytes", "memory.usage_in_bytes", ["total_inactive_file", "total_active_file"]);

    private static readonly (string Limit, string Usage, string[] Cache) s_second =
        ("memory.max", "memory.current", ["inactive_file", "active_file"]);

    /// <summary>A limit from which on there is none: version 1 writes the largest multiple of a page that fits 64 bits.</summary>
    private const long NoLimit = long.MaxValue / 2;

    /// <summary>Bytes that the tightest group leaves, and the file that limits them; null where none does.</summary>
    public AvailableMemory? Available()
    {
        AvailableMemory? least = null;
        foreach ((string folder, string top, bool isFirst) in Groups())
        {
            for (string? at = folder; at is not null && at.Length >= top.Length; at = Path.GetDirectoryName(at))
            {
                if (Of(at, isFirst ? s_first : s_second) is { } found && (least is null || found.Bytes < least.Bytes))
                {
                    least = found;
                }
            }
        }

        return least;
    }

    private static AvailableMemory? Of(string folder, (string Limit, string Usage, string[] Cache) names)
    {
        string limits = Path.Combine(folder, names.Limit);
        return Number(limits) is { } limit and < NoLimit && Number(Path.Combine(folder, names.Usage)) is { } usage
            ? new AvailableMemory(
                Math.Max(0, limit - Math.Max(0, usage - Cache(Path.Combine(folder, "memory.stat"), names.Cache))),
                string.Create(CultureInfo.InvariantCulture, $"'{limits}' is {limit}"))
            : null;
    }

    /// <summary>Null where there is no such file, or "max" in it.</summary>
    private static long? Number(string path) =>
        File.Exists(path) && long.TryParse(File.ReadAllText(path), NumberStyles.Integer, CultureInfo.InvariantCulture, out long number)
            ? number : null;

    private static long Cache(string path, string[] names) => !File.Exists(path) ? 0 : File.ReadLines(path)
        .Select(line => line.Split(' '))
        .Where(words => words.Length == 2 && names.Contains(words[0], StringComparer.Ordinal))
        .Sum(words => long.Parse(words[1], CultureInfo.InvariantCulture));

    /// <summary>
    /// This process's groups that can limit memory: the folder, and where its hierarchy is mounted. A container may see only a part of the
    /// hierarchy, under which its own group is the mount itself.
    /// </summary>
    private IEnumerable<(string Folder, string Top, bool IsFirst)> Groups()
    {
        string groups = Path.Combine(root, "proc/self/cgroup"), mounts = Path.Combine(root, "proc/self/mountinfo");
        if (!File.Exists(groups) || !File.Exists(mounts))
        {
            yield break;
        }

        string[][] lines = [.. File.ReadLines(mounts).Select(line => line.Split(' '))];
        foreach (string[] group in File.ReadLines(groups).Select(line => line.Split(':', 3)).Where(parts => parts.Length == 3))
        {
            bool isSecond = group[0] == "0" && group[1].Length == 0;
            if (!isSecond && !group[1].Split(',').Contains("memory", StringComparer.Ordinal))
            {
                continue;
            }

            // id, parent, device, root of the mount, place, options ..., "-", type, source, options of the file system.
            foreach (string[] mount in lines.Where(mount => mount.Length > 9 && IsOf(mount, isSecond)))
            {
                string top = Path.TrimEndingDirectorySeparator(Path.Combine(root, mount[4].TrimStart('/')));
                string path = group[2].StartsWith(mount[3], StringComparison.Ordinal) ? group[2][mount[3].Length..] : "";
                string folder = Path.TrimEndingDirectorySeparator(Path.Combine(top, path.TrimStart('/')));
                yield return (folder, top, !isSecond);
            }
        }

        static bool IsOf(string[] mount, bool isSecond)
        {
            int mark = Array.IndexOf(mount, "-");
            return mark > 0 && mark + 3 < mount.Length && (isSecond
                ? mount[mark + 1] == "cgroup2"
                : mount[mark + 1] == "cgroup" && mount[mark + 3].Split(',').Contains("memory", StringComparer.Ordinal));
        }
    }
}

/// <summary>How much memory there is for a training.</summary>
/// <param name="Bytes">Bytes.</param>
/// <param name="Source">What says so, to follow "since" in an error.</param>
internal sealed record AvailableMemory(long Bytes, string Source);
