using System.Runtime.InteropServices;

namespace Microsoft.ML.Sorsa.Tool;

/// <summary>Ctrl+C and SIGTERM: the first is a request, the second ends the process.</summary>
internal sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _signals;
    private PosixSignal? _signal;

    public Interruption() =>
        _signals = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM }.Select(signal => PosixSignalRegistration.Create(signal, Answer))];

    public CancellationToken Token => _source.Token;

    public int ExitCode => _signal == PosixSignal.SIGTERM ? Tool.ExitCode.Terminated : Tool.ExitCode.Interrupted;

    public void Dispose()
    {
        Array.ForEach(_signals, signal => signal.Dispose());
        _source.Dispose();
    }

    private void Answer(PosixSignalContext context)
    {
        if (_signal is null)
        {
            _signal = context.Signal;
            context.Cancel = true;
            _source.Cancel();
        }
    }
}
