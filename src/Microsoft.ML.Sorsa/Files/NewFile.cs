namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// A file that appears whole or not at all: it is written to the disk under a temporary name beside its place, then renamed. It replaces
/// one that is there; a link to a file is followed.
/// </summary>
/// <remarks>
/// Where the folder takes no new file, or the file is a mount point of its own (a container's <c>-v host.zip:/out/model.zip</c>), a file
/// that is there is written into: that is all that can be done, and not whole or nothing.
/// </remarks>
internal static class NewFile
{
    /// <param name="path">The file, in a folder that is there.</param>
    /// <param name="write">Writes its content, from the stream's beginning to its end.</param>
    /// <param name="size">How many bytes it will have at least, where that is known and much.</param>
    /// <exception cref="IOException">The folder is not there, the disk is full, ...</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder must not be written.</exception>
    public static void Write(string path, Action<Stream> write, long size = 0)
    {
        string target = RealPath.Of(path);
        string folder = Verify(path, target);
        FreeSpace.Verify(path, folder, size);
        TemporaryName.RemoveLeftovers(folder, Path.GetFileName(target));
        string temporary = TemporaryName.For(target);
        try
        {
            FileStream stream;
            try
            {
                stream = TemporaryName.Create(temporary);
            }
            catch (Exception e) when (WriteFailure.IsDenied(e))
            {
                WriteInto(target, write, WriteFailure.Denied(path, folder, e));
                return;
            }

            using (stream)
            {
                write(stream);
                stream.Flush(flushToDisk: true);
                Rename(stream, temporary, target);
            }

            DirectorySync.Flush(folder);
        }
        catch (IOException e) when (WriteFailure.IsFull(e))
        {
            throw WriteFailure.Full(path, e);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private static string Verify(string path, string target)
    {
        string folder = Path.GetDirectoryName(target) ?? target;
        if (Directory.Exists(target))
        {
            throw new IOException($"'{path}' is a folder, and a file is to be written. Name a file in it.");
        }

        if (Path.EndsInDirectorySeparator(path))
        {
            throw new IOException($"'{path}' names a folder, and a file is to be written. Name a file in it.");
        }

        // A rename would put a file in the place of a device that all programs use.
        if (OperatingSystem.IsLinux() && File.Exists(target) && FileStatus.IsNoFile(target))
        {
            throw new IOException($"'{path}' is a device, a pipe or a socket, and a file is to be written. Name a file.");
        }

        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException($"'{path}' cannot be written: " + (File.Exists(folder)
                ? $"'{folder}' is a file and no folder. Name another place."
                : $"the folder '{folder}' does not exist. Make it first, or name another."));
        }

        return folder;
    }

    /// <summary>While the file is open, and with it locked: it is never anybody's who writes to the same place.</summary>
    private static void Rename(FileStream stream, string temporary, string target)
    {
        if (!OperatingSystem.IsWindows() && File.Exists(target)
            && File.GetUnixFileMode(target) is var mode && mode != File.GetUnixFileMode(temporary))
        {
            File.SetUnixFileMode(temporary, mode);
        }

        try
        {
            File.Move(temporary, target, overwrite: true);
        }
        catch (Exception e) when (e is UnauthorizedAccessException || WriteFailure.IsMountPoint(e))
        {
            stream.Position = 0;
            WriteInto(target, stream.CopyTo, e);
        }
    }

    private static void WriteInto(string target, Action<Stream> write, Exception otherwise)
    {
        FileStream stream;
        try
        {
            // Without a buffer, which a full disk would keep from being emptied.
            stream = new FileStream(target, FileMode.Open, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or FileNotFoundException || WriteFailure.IsDenied(e))
        {
            throw otherwise;
        }

        using (stream)
        {
            stream.SetLength(0);
            try
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            catch
            {
                // Nothing is better than a part.
                stream.SetLength(0);
                throw;
            }
        }
    }
}
