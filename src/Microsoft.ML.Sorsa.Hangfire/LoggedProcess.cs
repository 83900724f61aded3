using Hangfire.Server;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// A part of a worker whose errors reach ML.NET's log, and which goes on soon after one. Hangfire itself says them to its own log alone,
/// which most programs do not have, and waits longer after each of them in a row, up to five minutes.
/// </summary>
internal sealed class LoggedProcess(IBackgroundProcess process, IHostEnvironment environment) : IBackgroundProcess
{
    private static readonly TimeSpan s_wait = TimeSpan.FromSeconds(1);

    private string? _said;

    public void Execute(BackgroundProcessContext context)
    {
        try
        {
            process.Execute(context);
            _said = null;
        }
        catch (Exception e) when (!context.IsStopping)
        {
            Say(e);
            HangfireLog.RemoveDisposed();
            context.Wait(s_wait);
        }
    }

    public override string? ToString() => process.ToString();

    /// <summary>Once, however often it comes in a row: a database may be away for hours.</summary>
    private void Say(Exception e)
    {
        string error = $"{e.GetType().Name}: {e.Message}";
        if (error == _said)
        {
            return;
        }

        _said = error;
        using IChannel channel = environment.Start("Worker");
        channel.Warning(MessageSensitivity.None, $"{process} had an error and tries again every {s_wait.TotalSeconds} s. {error}");
        channel.Trace(MessageSensitivity.None, e.ToString());
    }
}
