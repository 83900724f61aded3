using System.Runtime.InteropServices;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// While this is there, a process that is told to end (SIGTERM, Ctrl+C) waits until the step that is under way is written: whoever trains
/// asks between two steps, writes, and answers.
/// </summary>
internal sealed class EndRequest : IDisposable
{
    private readonly object _signal = new();
    private readonly PosixSignalRegistration[] _signals;
    private volatile bool _isAsked;
    private bool _isDisposed;

    public EndRequest() => _signals =
        [.. new[] { PosixSignal.SIGTERM, PosixSignal.SIGINT }.Select(signal => PosixSignalRegistration.Create(signal, End))];

    /// <summary>Whether the process is told to end, and waits for the answer.</summary>
    public bool IsAsked => _isAsked;

    /// <summary>Lets the signal do what it does.</summary>
    public void Answer()
    {
        lock (_signal)
        {
            _isAsked = false;
            Monitor.PulseAll(_signal);
        }
    }

    public void Dispose()
    {
        // Whoever waits for the end of the step need not wait for one that does not come.
        lock (_signal)
        {
            _isDisposed = true;
        }

        Answer();
        Array.ForEach(_signals, signal => signal.Dispose());
    }

    /// <summary>
    /// On a thread of the signal's: once it returns, the signal does what it does by itself. A program that handles it may go on training.
    /// </summary>
    private void End(PosixSignalContext context)
    {
        lock (_signal)
        {
            _isAsked = !_isDisposed;
            while (_isAsked)
            {
                Monitor.Wait(_signal);
            }
        }
    }
}
