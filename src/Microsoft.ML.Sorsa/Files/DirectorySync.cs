using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// Brings the names in a folder to the disk: without it a power cut may take back a file that was renamed, however well its bytes are
/// kept. .NET has no call for it. Windows keeps its names in a journal, and does not know the call either.
/// </summary>
internal static partial class DirectorySync
{
    private const int ReadOnly = 0, IOError = 5, NoSpace = 28;

    /// <returns>Whether the file system can do it; some of networks and of user space cannot.</returns>
    /// <exception cref="IOException">The disk failed or is full.</exception>
    public static bool Flush(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            return false;
        }

        int descriptor = Open(folder, ReadOnly);
        if (descriptor < 0)
        {
            // A folder that may be written to and not read.
            return false;
        }

        try
        {
            if (Sync(descriptor) == 0)
            {
                return true;
            }

            int error = Marshal.GetLastPInvokeError();
            return error is not (IOError or NoSpace) ? false : throw new IOException(
                $"The names in '{folder}' cannot be brought to the disk: {new Win32Exception(error).Message}. Look at the disk.");
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
