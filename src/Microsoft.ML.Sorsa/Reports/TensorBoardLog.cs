using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Reports;

/// <summary>
/// The series of a training for TensorBoard, by the names that transformers' trainer gives them. A disk that is full does not end the
/// training: the series end there.
/// </summary>
internal sealed class TensorBoardLog : IDisposable
{
    private readonly string _folder;
    private readonly Action<string> _warn;
    private EventFile? _file;

    /// <summary>Makes the folder and the file, before anything is trained.</summary>
    /// <param name="folder">A whole path.</param>
    /// <param name="option">What errors call it.</param>
    /// <param name="warn">Told once, where it cannot be written any more.</param>
    /// <param name="create">Makes the file; null: in the folder.</param>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    public TensorBoardLog(string folder, string option, Action<string> warn, Func<EventFile>? create = null)
    {
        (_folder, _warn) = (folder, warn);
        try
        {
            _file = create is null ? EventFile.Create(folder) : create();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new IOException(
                $"{option} '{folder}' cannot be written: {error.Message} Name a folder that this process may write, or leave it null.",
                error);
        }
    }

    /// <summary>Training begins behind a step, or goes on there: what older files have of later ones does not count.</summary>
    public void Begin(int step) => Write(file => file.WriteStart(step + 1));

    public void Add(SorsaTrainingProgress progress) => Write(file => file.WriteScalars(progress.Step, Scalars(progress)));

    public void Dispose() => _file?.Dispose();

    private static IEnumerable<(string, double)> Scalars(SorsaTrainingProgress progress)
    {
        yield return ("train/loss", progress.Loss);
        yield return ("train/learning_rate", progress.LearningRate);
        yield return ("train/grad_norm", progress.GradientNorm);
        if (progress.Orthonormality is { } orthonormality)
        {
            yield return ("train/orthonormality", orthonormality);
        }

        yield return ("train/tokens_per_second", progress.TokensPerSecond);
        if (progress.ValidationLoss is { } loss)
        {
            yield return ("eval/loss", loss);
        }
    }

    private void Write(Action<EventFile> write)
    {
        if (_file is null)
        {
            return;
        }

        try
        {
            write(_file);
        }
        catch (IOException error)
        {
            _warn($"TensorBoardFolder '{_folder}' cannot be written any more: {error.Message} Training goes on without its series.");
            EventFile broken = _file;
            _file = null;
            broken.Dispose();
        }
    }
}
