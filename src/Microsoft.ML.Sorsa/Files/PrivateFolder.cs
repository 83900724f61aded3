using System.Runtime.InteropServices;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// A folder of files that are believed, though they lie where others may write, as below /tmp: only its owner gets in where it is made
/// here, and one of somebody else's is refused. That is so on Linux, where temporary folders are everybody's; on Windows and macOS they are
/// the user's own.
/// </summary>
internal static partial class PrivateFolder
{
    /// <summary>Makes the folder where it is not there, with rights for this user alone.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="remedy">What to do where it cannot be used, without a full stop.</param>
    /// <exception cref="UnauthorizedAccessException">It is another user's.</exception>
    public static void Create(string folder, string remedy)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(folder);
            return;
        }

        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

        // Somebody else may have been first.
        Verify(folder, remedy);
    }

    /// <summary>Refuses a folder of another user's; nothing to say of one that is not there.</summary>
    /// <exception cref="UnauthorizedAccessException">It is another user's.</exception>
    public static void Verify(string folder, string remedy)
    {
        if (OperatingSystem.IsLinux() && Directory.Exists(folder) && FileStatus.Owner(folder) is var owner && owner != User())
        {
            throw new UnauthorizedAccessException(
                $"The folder '{folder}' belongs to the user with the id {owner}, and this process runs as {User()}: what is in it would be "
                + $"believed. {remedy}.");
        }
    }

    /// <summary>Whether a file that is there was written by this user.</summary>
    public static bool IsOwn(string file) => !OperatingSystem.IsLinux() || FileStatus.Owner(file) == User();

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint User();
}
