using System.Globalization;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// The checkpoints of one run: folders checkpoint-STEP, as transformers' Trainer names them. Each is written whole and renamed; the older
/// ones go afterwards. While this is there, no other process writes here.
/// </summary>
internal sealed class TrainingCheckpoints : IDisposable
{
    private const string Prefix = "checkpoint-", LockFile = "training.lock", Temporary = ".tmp";

    private readonly CheckpointSettings _settings;
    private readonly int _stepsPerEpoch;
    private readonly Action<string> _warn;
    private readonly FileStream _lock;
    private RunIdentity? _identity;
    private Func<AdapterWeights?>? _viewAdapter;
    private int _written;

    /// <summary>Makes the folder, and refuses what cannot be written or resumed, before anything is trained.</summary>
    /// <param name="settings">Where and when.</param>
    /// <param name="stepsPerEpoch">The steps after which a checkpoint is written in any case.</param>
    /// <param name="warn">Told of a checkpoint that could not be read or written.</param>
    /// <exception cref="IOException">The folder cannot be written, or another training writes there.</exception>
    /// <exception cref="InvalidOperationException">Resume is Never and there are checkpoints, or Required and there are none.</exception>
    public TrainingCheckpoints(CheckpointSettings settings, int stepsPerEpoch, Action<string> warn)
    {
        (_settings, _stepsPerEpoch, _warn) = (settings, stepsPerEpoch, warn);
        _lock = Lock(settings.Folder);
        try
        {
            VerifyResume();
        }
        catch
        {
            _lock.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Brings a state that was just made to where the newest checkpoint stands; leaves it where there is none. From now on checkpoints of
    /// this run are written.
    /// </summary>
    /// <param name="state">Where training stands.</param>
    /// <param name="identity">What the checkpoints belong to.</param>
    /// <param name="viewAdapter">What trains, as an adapter's files have it; disposed after each writing.</param>
    /// <returns>The checkpoint; null: none.</returns>
    /// <exception cref="InvalidOperationException">It is of a run with other options, data or base; what differs is listed.</exception>
    /// <exception cref="InvalidDataException">None of those that are there can be read.</exception>
    public string? Resume(TrainingState state, RunIdentity identity, Func<AdapterWeights?> viewAdapter)
    {
        (_identity, _viewAdapter) = (identity, viewAdapter);
        InvalidDataException? fault = null;
        foreach (int step in Steps().OrderDescending())
        {
            string folder = FolderOf(step);
            try
            {
                VerifySame(folder, TrainingCheckpoint.ReadIdentity(folder), identity);
                TrainingCheckpoint.Restore(folder, state);
                _written = state.Step;
                return folder;
            }
            catch (InvalidDataException damaged)
            {
                _warn($"{damaged.Message} The one before it is tried.");
                fault ??= damaged;
            }
        }

        return fault is null ? null : throw new InvalidDataException(
            $"No checkpoint in '{_settings.Folder}' can be read. Remove them, or name another CheckpointFolder, to begin anew.", fault);
    }

    /// <summary>Refuses a disk without room for the checkpoints of the steps that are left, before the first of them.</summary>
    /// <param name="state">Where training stands, after <see cref="Resume"/>.</param>
    /// <param name="totalSteps">The steps of the whole run.</param>
    /// <param name="hasBest">Whether validation rows choose the best weights, whose checkpoint stays beside the newest.</param>
    /// <exception cref="IOException">There is too little.</exception>
    public void VerifyRoom(TrainingState state, int totalSteps, bool hasBest)
    {
        // One is written before an older one goes.
        string[] written = [.. Steps().Select(FolderOf)];
        int most = Math.Min(_settings.Keep + 1 + (hasBest ? 1 : 0), written.Length + totalSteps - state.Step);
        if (totalSteps <= state.Step || FreeSpace.In(_settings.Folder) is not { } free)
        {
            return;
        }

        using AdapterWeights? adapter = _viewAdapter!();
        long size = TrainingCheckpoint.Size(state, totalSteps, hasBest, adapter);
        long taken = written.Sum(folder => new DirectoryInfo(folder).EnumerateFiles().Sum(file => file.Length));
        long missing = Math.Max(size, (most * size) - taken);
        if (free < missing)
        {
            throw new IOException(string.Create(CultureInfo.InvariantCulture,
                $"CheckpointFolder '{_settings.Folder}' has too little room: a checkpoint of this training takes {size / 1e6:N1} MB, up to "
                + $"{most} are there at once, which takes {missing / 1e6:N1} MB more, and {free / 1e6:N1} MB are free on that disk. Make "
                + $"room, name a folder on another disk, or lower KeepCheckpoints (now {_settings.Keep})."));
        }
    }

    /// <summary>Writes a checkpoint if one is due: after so many steps, at the end of an epoch, at the lowest validation loss.</summary>
    public void AfterStep(TrainingState state)
    {
        bool isBest = state.Evaluations is [.., var last] && last.Step == state.Step && state.Best.EvaluationsSince == 0;
        if (isBest || state.Step % _settings.Steps == 0 || state.Step % _stepsPerEpoch == 0)
        {
            Write(state);
        }
    }

    /// <summary>
    /// Writes a checkpoint, unless this step's is there. A disk that is full does not end the training: the older checkpoints stay, and
    /// the next one is tried again.
    /// </summary>
    public void Write(TrainingState state)
    {
        if (state.Step == _written || state.Step == 0)
        {
            return;
        }

        (RunIdentity identity, Func<AdapterWeights?> viewAdapter) = (_identity!, _viewAdapter!);
        try
        {
            // One that is there could not be read, or Resume would have gone on from it.
            Remove(FolderOf(state.Step));
            using (var target = new NewFolder(FolderOf(state.Step), nameof(_settings.Folder)))
            {
                using AdapterWeights? adapter = viewAdapter();
                TrainingCheckpoint.Write(target, state, identity, adapter);
                target.Commit();
            }

            _written = state.Step;
            Prune(state);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            _warn(string.Create(CultureInfo.InvariantCulture,
                $"The checkpoint of step {state.Step} could not be written to '{_settings.Folder}': {error.Message} "
                + $"Training goes on; the newest checkpoint is that of step {_written}."));
        }
    }

    public void Dispose() => _lock.Dispose();

    private static FileStream Lock(string folder)
    {
        FileStream? held = null;
        try
        {
            Directory.CreateDirectory(folder);
            held = new FileStream(Path.Combine(folder, LockFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);

            // What a process that was killed left. Nobody else writes here now.
            foreach (string left in Directory.EnumerateDirectories(folder, $"{Prefix}*{Temporary}"))
            {
                Directory.Delete(left, recursive: true);
            }

            // A lock that was there before says nothing of what can be made beside it.
            Directory.Delete(Directory.CreateDirectory(TemporaryName.For(Path.Combine(folder, $"{Prefix}0"))).FullName);
            return held;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            held?.Dispose();
            throw new IOException(
                $"CheckpointFolder '{folder}' cannot be written, or another training writes there: {error.Message} "
                + "Name a folder that this process may write, one for each training.", error);
        }
    }

    private void VerifyResume()
    {
        bool any = Steps().Any();
        if (_settings.Resume == ResumeMode.Never && any)
        {
            throw new InvalidOperationException(
                $"Resume is {ResumeMode.Never}, and CheckpointFolder '{_settings.Folder}' holds checkpoints. "
                + $"Remove them, name another folder, or choose {ResumeMode.Auto} to go on.");
        }

        if (_settings.Resume == ResumeMode.Required && !any)
        {
            throw new InvalidOperationException(
                $"Resume is {ResumeMode.Required}, and CheckpointFolder '{_settings.Folder}' holds no checkpoint. "
                + $"Name the folder of the training to go on with, or choose {ResumeMode.Auto} to begin one.");
        }
    }

    private void VerifySame(string folder, RunIdentity stored, RunIdentity identity)
    {
        if (RunIdentity.Difference(stored.Run, identity.Run) is { } difference)
        {
            throw new InvalidOperationException(
                $"The checkpoint '{folder}' is of another training. Set it up as it was, or name another CheckpointFolder:{difference}");
        }

        if (RunIdentity.Difference(stored.Machine, identity.Machine) is { } otherwise)
        {
            _warn($"Training goes on from '{folder}', and the last bits of what comes out may be others:{otherwise}");
        }
    }

    /// <summary>What is older than the newest ones goes, but for the one of the lowest validation loss.</summary>
    private void Prune(TrainingState state)
    {
        int? best = state.Evaluations.Count == 0 ? null : state.Evaluations.MinBy(at => at.Loss).Step;
        foreach (int step in Steps().OrderDescending().Skip(_settings.Keep).Where(step => step != best))
        {
            Remove(FolderOf(step));
        }
    }

    /// <summary>Renames it first: what is half removed does not look like a checkpoint.</summary>
    private static void Remove(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Move(folder, folder + Temporary);
            Directory.Delete(folder + Temporary, recursive: true);
        }
    }

    private IEnumerable<int> Steps() => Directory.EnumerateDirectories(_settings.Folder, Prefix + "*")
        .Select(folder => Path.GetFileName(folder)[Prefix.Length..])
        .Select(text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int step) ? step : 0)
        .Where(step => step > 0);

    private string FolderOf(int step) =>
        Path.Combine(_settings.Folder, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{step}"));
}
