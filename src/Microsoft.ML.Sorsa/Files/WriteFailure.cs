using System.ComponentModel;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>Why something could not be written, in terms of the place that the user named and not of temporary names.</summary>
internal static class WriteFailure
{
    private const int ReadOnlyFileSystem = 30, Busy = 16, NoSpace = 28, WindowsWriteProtected = 19, WindowsNoSpace = 112;

    /// <summary>No file may be made in the folder, which says nothing about files that are there.</summary>
    public static bool IsDenied(Exception error) => error is UnauthorizedAccessException
        || (error is IOException && Code(error) == (OperatingSystem.IsWindows() ? WindowsWriteProtected : ReadOnlyFileSystem));

    /// <summary>Something is mounted there, as a container's single files are, and cannot be replaced.</summary>
    public static bool IsMountPoint(Exception error) => error is IOException && !OperatingSystem.IsWindows() && Code(error) == Busy;

    public static bool IsFull(Exception error) =>
        error is IOException && Code(error) == (OperatingSystem.IsWindows() ? WindowsNoSpace : NoSpace);

    /// <summary>The error of a folder in which nothing may be made.</summary>
    /// <param name="path">What the user wanted to write.</param>
    /// <param name="folder">Where it must be made.</param>
    /// <param name="error">What the system said.</param>
    public static Exception Denied(string path, string folder, Exception error)
    {
        string message = $"'{path}' cannot be written: nothing may be made in the folder '{folder}' ({Reason(error)}). "
            + "Allow writing there, or name another place.";
        return error is UnauthorizedAccessException ? new UnauthorizedAccessException(message, error) : new IOException(message, error);
    }

    /// <summary>The error of a disk that is full.</summary>
    public static IOException Full(string path, Exception error) =>
        new($"'{path}' cannot be written: the disk is full. Nothing of it is left there. Make room, or name another disk.", error);

    private static string Reason(Exception error) => error is UnauthorizedAccessException
        ? "access denied" : new Win32Exception(Code(error)).Message.ToLowerInvariant();

    /// <summary>errno, or the code of Windows.</summary>
    private static int Code(Exception error) => error.HResult & 0xFFFF;
}
