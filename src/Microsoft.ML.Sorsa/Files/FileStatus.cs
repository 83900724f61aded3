using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>What Linux says of a file and .NET does not: whose it is, and whether it is a file at all.</summary>
[SupportedOSPlatform("linux")]
internal static partial class FileStatus
{
    private const int CurrentFolder = -100, FollowLinks = 0;
    private const uint KindAsked = 0x1, OwnerAsked = 0x8;
    private const int KindBits = 0xF000, Regular = 0x8000, Folder = 0x4000;

    /// <summary>The id of the user it belongs to.</summary>
    public static uint Owner(string path) => Read(path, OwnerAsked).Owner;

    /// <summary>Whether it is a device, a pipe or a socket.</summary>
    public static bool IsNoFile(string path) => (Read(path, KindAsked).Mode & KindBits) is not (Regular or Folder);

    /// <exception cref="IOException">It is not there, or must not be asked about.</exception>
    private static Status Read(string path, uint mask) => ReadStatus(CurrentFolder, path, FollowLinks, mask, out Status status) == 0
        ? status
        : throw new IOException(
            $"What '{path}' is cannot be read: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ReadStatus(int folder, string path, int flags, uint mask, out Status status);

    /// <summary>The kernel's struct statx, which is the same on every processor.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Status
    {
        [FieldOffset(20)]
        public uint Owner;

        [FieldOffset(28)]
        public ushort Mode;
    }
}
