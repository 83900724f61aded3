using System.Collections.Concurrent;
using System.Diagnostics;
using Hangfire;
using Hangfire.AspNetCore;
using Hangfire.Logging;
using Hangfire.Server;
using Hangfire.Storage;
using Microsoft.Extensions.Logging;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>What a worker does about errors outside its trials. Hangfire's log is the process's.</summary>
[TestClass]
[DoNotParallelize]
[TestCategory("Sweeps")]
public sealed class SweepsWorkerErrorsTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    public void TheLogOfADisposedWebHostIsTakenAway()
    {
        ILoggerFactory host = LoggerFactory.Create(_ => { });
        LogProvider.SetCurrentLogProvider(new AspNetCoreLogProvider(host));
        try
        {
            HangfireLog.RemoveDisposed();
            Assert.IsTrue(HasLog(), "One that works stays.");

            host.Dispose();
            Assert.ThrowsExactly<ObjectDisposedException>(() => HasLog());

            HangfireLog.RemoveDisposed();
            Assert.IsFalse(HasLog());
        }
        finally
        {
            LogProvider.SetCurrentLogProvider(null);
        }
    }

    /// <summary>Hangfire alone would wait longer each time, up to five minutes, and say nothing.</summary>
    [TestMethod]
    public void AnErrorReachesTheLogOnceAndIsTriedAgainInASecond()
    {
        var messages = new ConcurrentQueue<string>();
        var context = new MLContext(seed: 0);
        context.Log += (_, e) => messages.Enqueue(e.RawMessage);
        var process = new LoggedProcess(new FailingProcess(), context.Sorsa().Environment);
        using var stop = new CancellationTokenSource();
        BackgroundProcessContext turn = new(
            "server", new Nowhere(), new Dictionary<string, object>(), Guid.NewGuid(), stop.Token, stop.Token, stop.Token);
        var clock = Stopwatch.StartNew();

        process.Execute(turn);
        process.Execute(turn);

        Assert.IsGreaterThan(1.9, clock.Elapsed.TotalSeconds);
        Assert.HasCount(1, messages.Where(message => message.Contains(
            "Worker had an error and tries again every 1 s. IOException: the cause", StringComparison.Ordinal)));
        stop.Cancel();
        Assert.ThrowsExactly<IOException>(() => process.Execute(turn), "A server that stops is told.");
    }

    private static bool HasLog() => LogProvider.GetLogger("worker").GetType().Name != "NoOpLogger";

    private sealed class FailingProcess : IBackgroundProcess
    {
        public void Execute(BackgroundProcessContext context) => throw new IOException("the cause");

        public override string ToString() => "Worker";
    }

    private sealed class Nowhere : JobStorage
    {
        public override IMonitoringApi GetMonitoringApi() => throw new NotSupportedException();

        public override IStorageConnection GetConnection() => throw new NotSupportedException();
    }
}
