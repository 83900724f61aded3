namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// A file that appears whole or not at all: it is written to the disk under a temporary name beside its place, then renamed. It replaces
/// one that is there.
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
