namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>A report on disk.</summary>
internal static class ReportFile
{
    /// <summary>Writes beside the file first, so that it is whole when it is there.</summary>
    public static void Save(SweepReport report, string path)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? path;
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException($"The report's folder '{folder}' does not exist. Make it first, or name another.");
        }

        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (FileStream stream = File.Create(temporary))
            {
                ReportPage.Write(report, stream);
            }

            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }
}
