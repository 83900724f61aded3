using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// A folder of files that are believed, though they lie where others may write, as below /tmp: only its owner gets in where it is made
/// here, and one of somebody else's is refused. That is so on Linux, where temporary folders are everybody's; on Windows and macOS they are
/// the user's own.
/// </summary>
internal static partial class PrivateFolder
{
    private const int CurrentFolder = -100, FollowLinks = 0;
    private const uint OwnerAsked = 0x8;

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
        if (OperatingSystem.IsLinux() && Directory.Exists(folder) && Owner(folder) is var owner && owner != User())
        {
            throw new UnauthorizedAccessException(
                $"The folder '{folder}' belongs to the user with the id {owner}, and this process runs as {User()}: what is in it would be "
                + $"believed. {remedy}.");
        }
    }

    /// <summary>Whether a file that is there was written by this user.</summary>
    public static bool IsOwn(string file) => !OperatingSystem.IsLinux() || Owner(file) == User();

    [SupportedOSPlatform("linux")]
    private static uint Owner(string path) => ReadStatus(CurrentFolder, path, FollowLinks, OwnerAsked, out Status status) == 0
        ? status.Owner
        : throw new IOException($"The owner of '{path}' cannot be read: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint User();

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ReadStatus(int folder, string path, int flags, uint mask, out Status status);

    /// <summary>The kernel's struct statx, which is the same on every processor: 256 bytes, the owner at the 20th.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Status
    {
        [FieldOffset(20)]
        public uint Owner;
    }
}
