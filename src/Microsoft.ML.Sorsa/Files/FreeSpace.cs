using System.Globalization;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>Whether there is room for what will be written, before gigabytes of it are.</summary>
internal static class FreeSpace
{
    /// <param name="path">What will be written, for the error.</param>
    /// <param name="folder">A folder that is there, on the disk that it is written to.</param>
    /// <param name="bytes">How much, at least.</param>
    /// <exception cref="IOException">There is less room.</exception>
    public static void Verify(string path, string folder, long bytes)
    {
        if (In(folder) is { } available && available < bytes)
        {
            throw new IOException(string.Create(CultureInfo.InvariantCulture,
                $"'{path}' cannot be written: it takes {bytes / 1e6:N1} MB, and {available / 1e6:N1} MB are free on that disk. ")
                + "Make room, or name another disk.");
        }
    }

    /// <summary>Bytes; null where it is not known: some file systems of networks and of user space do not say.</summary>
    /// <param name="folder">One that is there.</param>
    public static long? In(string folder)
    {
        try
        {
            var drive = new DriveInfo(folder);
            return drive.TotalSize > 0 ? drive.AvailableFreeSpace : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }
}
