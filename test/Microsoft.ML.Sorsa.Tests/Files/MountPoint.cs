using System.Diagnostics;

namespace Microsoft.ML.Sorsa.Tests.Files;

/// <summary>A file system of a test's own, as a container's volumes are; unmounted when the test is over.</summary>
internal sealed class MountPoint : IDisposable
{
    private readonly string _path;

    private MountPoint(string path) => _path = path;

    /// <summary>An empty file system in memory; skips the test where this process may not mount.</summary>
    public static MountPoint Memory(string folder, string options = "size=64m")
    {
        Directory.CreateDirectory(folder);
        return Mount(folder, "-t", "tmpfs", "-o", options, "tmpfs", folder);
    }

    /// <summary>A file or folder in another place, too.</summary>
    public static MountPoint Bind(string source, string target) => Mount(target, "--bind", source, target);

    public void MakeReadOnly() => Assert.IsTrue(Run("mount", "-o", "remount,ro", _path));

    public void Dispose() => Assert.IsTrue(Run("umount", _path));

    private static MountPoint Mount(string path, params string[] arguments)
    {
        if (!OperatingSystem.IsLinux() || Environment.UserName != "root" || !Run("mount", arguments))
        {
            Assert.Inconclusive("This process may not mount: only root can, and not in every container.");
        }

        return new MountPoint(path);
    }

    private static bool Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}
