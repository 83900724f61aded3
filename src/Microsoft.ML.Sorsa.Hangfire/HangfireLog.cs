using Hangfire.Logging;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// Where Hangfire logs is one setting of the whole process. A web host that was given Hangfire puts its own log there, and leaves it there
/// when it is disposed of: from then on whatever of Hangfire asks for a log gets an error instead, among them every job that is fetched.
/// </summary>
internal static class HangfireLog
{
    /// <summary>Takes away the log of a host that is no more; one that works stays.</summary>
    public static void RemoveDisposed()
    {
        try
        {
            LogProvider.GetLogger(nameof(TrialJob));
        }
        catch (ObjectDisposedException)
        {
            LogProvider.SetCurrentLogProvider(null);
        }
    }
}
