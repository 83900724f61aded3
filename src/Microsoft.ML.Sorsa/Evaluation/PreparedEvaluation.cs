namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>
/// An evaluation whose texts are read, tokenized and found to fit the model; what is left is the model's work. Whoever asks several things
/// of a model prepares all of them first, so that what cannot be evaluated is refused before anything takes time.
/// </summary>
/// <typeparam name="T">What comes out.</typeparam>
public sealed class PreparedEvaluation<T>
{
    private readonly Func<CancellationToken, T> _run;

    internal PreparedEvaluation(Func<CancellationToken, T> run) => _run = run;

    /// <summary>Evaluates, with the adapter that was in use when it was prepared. It may run any number of times.</summary>
    /// <param name="cancellationToken">Ends it between two batches.</param>
    /// <exception cref="OperationCanceledException">The token ended it.</exception>
    /// <exception cref="InvalidOperationException">The model gives no numbers (NaN).</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    public T Run(CancellationToken cancellationToken = default) => _run(cancellationToken);
}
