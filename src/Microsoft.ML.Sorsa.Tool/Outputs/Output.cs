namespace Microsoft.ML.Sorsa.Tool.Outputs;

/// <summary>What a verb is to write: looked at before the work, and written after it.</summary>
internal static class Output
{
    /// <summary>Refuses a folder that is not empty or cannot be made, before anything is computed.</summary>
    /// <exception cref="CommandException">It cannot be written.</exception>
    public static void VerifyFolder(string folder)
    {
        if (string.IsNullOrWhiteSpace(folder))
        {
            throw Refused("--out is empty. Name a new folder.");
        }

        if (File.Exists(folder))
        {
            throw Refused($"'{folder}' is a file. Name a new folder.");
        }

        if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
        {
            throw Refused(RunFolder.Is(folder)
                ? $"'{folder}' holds a training. 'sorsa resume {folder}' goes on with it; --out names another folder for a new one."
                : $"'{folder}' is not empty. Name a new folder.");
        }

        Write(folder, () => Probe(folder));
    }

    /// <summary>Refuses a file that cannot be written, before anything is computed.</summary>
    /// <exception cref="CommandException">It cannot be written.</exception>
    public static void VerifyFile(string? path)
    {
        if (path is null)
        {
            return;
        }

        if (string.IsNullOrWhiteSpace(path))
        {
            throw Refused("The name of the file to write is empty. Name a file.");
        }

        if (Directory.Exists(path) || Path.EndsInDirectorySeparator(path))
        {
            throw Refused($"'{path}' is a folder. Name a file.");
        }

        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        if (!Directory.Exists(folder) && !File.Exists(folder))
        {
            throw Refused($"'{path}' cannot be written: there is no folder '{folder}'. Make it, or name a file in another one.");
        }

        Write(path, () => Probe(folder));
    }

    /// <summary>Writes, and says of what cannot be written that it is the output.</summary>
    public static void Write(string path, Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The library's own say it, and the remedy; the system's name files that the user never sees behind " : ".
            string begin = $"'{path}' cannot be written: ";
            throw new CommandException(ExitCode.Output, e.Message.StartsWith(begin, StringComparison.Ordinal)
                ? e.Message
                : $"{begin}{e.Message.Split(" : '")[0].TrimEnd('.')}. Make room or give the right there, or name another place.", e);
        }
    }

    /// <summary>Whether a file can be made in it, or in the folder that it will be made in.</summary>
    private static void Probe(string folder)
    {
        string? there = Path.GetFullPath(folder);
        while (there is not null && !Directory.Exists(there))
        {
            there = File.Exists(there)
                ? throw new IOException($"'{there}' is a file.")
                : Path.GetDirectoryName(there);
        }

        string probe = Path.Combine(there!, $".sorsa-{Environment.ProcessId}-{Guid.NewGuid():N}");
        using FileStream made = new(probe, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Options = FileOptions.DeleteOnClose,
        });
    }

    private static CommandException Refused(string message) => new(ExitCode.Output, message);
}
