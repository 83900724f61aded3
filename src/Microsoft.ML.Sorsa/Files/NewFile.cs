namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// A file that appears whole or not at all: it is written under a temporary name beside its place, to the disk, and renamed. One that is
/// there is replaced.
/// </summary>
internal static class NewFile
{
    public static void Write(string path, Action<Stream> write)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (FileStream stream = File.Create(temporary))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }
}
