namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// A folder that appears whole or not at all. One that is not there is made under a temporary name beside its place, which
/// <see cref="Commit"/> renames. One that is there and empty stays, whatever it is (a mount point, a link, an own folder where no other
/// may be made): its files are written in it under temporary names, and <see cref="Commit"/> renames them in the order in which they were
/// written, so that the file that makes a model of the folder belongs at the end. Disposed before that, nothing is left.
/// </summary>
internal sealed class NewFolder : IDisposable
{
    /// <summary>What a file system puts into its own root.</summary>
    private const string LostAndFound = "lost+found";

    private readonly string _given;
    private readonly string _target;
    private readonly string? _temporary;
    private readonly List<string> _made = [];
    private readonly List<(string Name, string Temporary, FileStream Stream)> _files = [];
    private bool _committed;

    /// <exception cref="ArgumentException">It is a file, or holds something.</exception>
    /// <exception cref="IOException">It cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">It must not be made.</exception>
    public NewFolder(string target, string argument)
    {
        _given = target;
        _target = RealPath.Of(target);
        if (Directory.Exists(_target))
        {
            TemporaryName.RemoveLeftovers(_target);
        }

        if (File.Exists(_target) || (Directory.Exists(_target) && !IsEmpty(_target)))
        {
            throw new ArgumentException(
                $"{argument}: '{target}' exists already and is not an empty folder. Name a new folder, or remove this one first.",
                argument);
        }

        if (!Directory.Exists(_target))
        {
            string parent = Path.GetDirectoryName(_target)!;
            try
            {
                MakeParents(parent);
                TemporaryName.RemoveLeftovers(parent, Path.GetFileName(_target));
                _temporary = TemporaryName.For(_target);
                Directory.CreateDirectory(_temporary);
            }
            catch (Exception e) when (WriteFailure.IsDenied(e))
            {
                throw WriteFailure.Denied(target, parent, e);
            }
        }
    }

    /// <summary>Refuses early what there is no room for.</summary>
    /// <param name="bytes">How much will be written at least.</param>
    /// <exception cref="IOException">There is less room.</exception>
    public void VerifyRoom(long bytes) => FreeSpace.Verify(_given, _temporary ?? _target, bytes);

    /// <summary>Writes one file, to the disk.</summary>
    /// <param name="name">A plain file name; each once.</param>
    /// <param name="write">Writes its content.</param>
    public void WriteFile(string name, Action<Stream> write)
    {
        if (_files.Any(file => file.Name == name))
        {
            throw new IOException($"'{name}' is written to '{_given}' already.");
        }

        string path = _temporary is null ? TemporaryName.For(Path.Combine(_target, name)) : Path.Combine(_temporary, name);
        try
        {
            // It stays open, and with it locked, until it has its name.
            FileStream stream = TemporaryName.Create(path);
            _files.Add((name, path, stream));
            write(stream);
            stream.Flush(flushToDisk: true);
        }
        catch (Exception e) when (WriteFailure.IsDenied(e))
        {
            throw WriteFailure.Denied(_given, _target, e);
        }
        catch (IOException e) when (WriteFailure.IsFull(e))
        {
            throw WriteFailure.Full(_given, e);
        }
    }

    /// <exception cref="IOException">Something came there in the meantime; it is left alone.</exception>
    public void Commit()
    {
        if (_temporary is null)
        {
            RenameFiles();
        }
        else
        {
            DirectorySync.Flush(_temporary);
            if (OperatingSystem.IsWindows())
            {
                Close();
            }

            try
            {
                if (Directory.Exists(_target))
                {
                    Directory.Delete(_target);
                }

                Directory.Move(_temporary, _target);
            }
            catch (IOException e) when (Path.Exists(_target))
            {
                throw TakenMeanwhile(_target, e);
            }

            _made.ForEach(folder => DirectorySync.Flush(Path.GetDirectoryName(folder)!));
        }

        DirectorySync.Flush(_temporary is null ? _target : Path.GetDirectoryName(_target)!);
        _committed = true;
        Close();
    }

    public void Dispose()
    {
        Close();
        if (_committed)
        {
            return;
        }

        if (_temporary is null)
        {
            _files.ForEach(file => File.Delete(file.Temporary));
        }
        else if (Directory.Exists(_temporary))
        {
            Directory.Delete(_temporary, recursive: true);
        }

        foreach (string folder in _made.AsEnumerable().Reverse().Where(Directory.Exists).Where(IsEmpty))
        {
            Directory.Delete(folder);
        }
    }

    private static bool IsEmpty(string folder) => Directory.EnumerateFileSystemEntries(folder)
        .All(path => Path.GetFileName(path) == LostAndFound);

    private void RenameFiles()
    {
        var renamed = new List<string>();
        try
        {
            foreach ((string name, string temporary, _) in _files)
            {
                string path = Path.Combine(_target, name);
                try
                {
                    File.Move(temporary, path, overwrite: false);
                }
                catch (IOException e) when (Path.Exists(path))
                {
                    throw TakenMeanwhile(path, e);
                }

                renamed.Add(path);
            }
        }
        catch
        {
            renamed.ForEach(File.Delete);
            throw;
        }
    }

    private IOException TakenMeanwhile(string path, IOException error) => new(
        $"'{_given}' was not written: '{path}' came there while it was being written, and stays. Name another folder.", error);

    /// <summary>The folders above, the highest first.</summary>
    private void MakeParents(string folder)
    {
        var missing = new Stack<string>();
        for (string? at = folder; at is not null && !Directory.Exists(at); at = Path.GetDirectoryName(at))
        {
            if (File.Exists(at))
            {
                throw new IOException($"'{_given}' cannot be written: '{at}' is a file and no folder. Name another place.");
            }

            missing.Push(at);
        }

        foreach (string made in missing)
        {
            Directory.CreateDirectory(made);
            _made.Add(made);
        }
    }

    private void Close() => _files.ForEach(file => Dispose(file.Stream));

    /// <summary>What was not written stays so: a full disk throws once more when the stream is closed.</summary>
    private static void Dispose(FileStream stream)
    {
        try
        {
            stream.Dispose();
        }
        catch (IOException e) when (WriteFailure.IsFull(e))
        {
            // WriteFile has thrown the same.
        }
    }
}
