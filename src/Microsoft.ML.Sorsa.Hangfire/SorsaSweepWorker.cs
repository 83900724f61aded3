using Hangfire;
using Hangfire.Server;
using Hangfire.States;
using Microsoft.ML.Sorsa.Files;
using TorchSharp;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// Runs trials for experiments on this or other machines that were given <see cref="SorsaExperimentHangfireExtensions.SetHangfire"/>: one
/// command on any machine that sees the database and has the model folder. Workers may come and go at any time; a trial whose worker ends
/// is taken over by another one, from its beginning. A database serves studies over one model at a time. A worker runs trials and nothing
/// else, whatever jobs the database holds; docs/sweeps.md says what whoever can write to the database can still do.
/// </summary>
/// <param name="mlContext">ML.NET's; it decides the device. Trials log through it.</param>
/// <param name="connectionString">The database of the experiment, in Npgsql's words.</param>
/// <param name="modelFolder">
/// This machine's copy of the model. Its weights are compared with those of a study before a trial runs. A relative path is made whole
/// when the worker is made.
/// </param>
/// <param name="options">How it runs trials; null: the defaults.</param>
public sealed class SorsaSweepWorker(
    MLContext mlContext, string connectionString, string modelFolder, SorsaSweepWorker.Options? options = null)
{
    private readonly Options _options = Whole(options ?? new Options());
    private readonly string _modelFolder = WholePath(modelFolder);

    /// <summary>How a worker runs trials.</summary>
    public sealed record Options
    {
        internal static readonly TimeSpan DefaultInvisibilityTimeout = TimeSpan.FromSeconds(12);

        /// <summary>
        /// Trials at a time in this process. Default 1; at least 1. How many threads each of them computes with, the experiment decides.
        /// </summary>
        [OptionRange(1, int.MaxValue, "Use 1, and more workers")]
        public int TrialsAtATime { get; init; } = 1;

        /// <summary>
        /// Where decompositions are kept, for all workers of this user on this machine. Default: the folder
        /// "Microsoft.ML.Sorsa/decompositions" in the user's folder for application data (on Linux ~/.local/share), which nobody else can
        /// write to. A relative path is made whole when the worker is made.
        /// </summary>
        public string? CacheFolder { get; init; }

        /// <summary>
        /// After so long without a sign of life of its worker a trial is another's. A worker gives that sign, every fifth of it, as long as
        /// it lives, so that a trial may be much longer. Default 12 seconds; from 3 seconds to a day. The same for all workers of a
        /// database.
        /// </summary>
        public TimeSpan InvisibilityTimeout { get; init; } = DefaultInvisibilityTimeout;
    }

    /// <summary>
    /// Runs trials until it is told to stop. A trial that is under way then goes back to the queue.
    /// Trials set libtorch's number of threads, which is the process's; it is put back at the end.
    /// </summary>
    /// <param name="cancellationToken">Stops it; the method then returns.</param>
    /// <exception cref="ArgumentException">An option is outside its range, or the connection string is none.</exception>
    /// <exception cref="IOException">
    /// The model folder is not there, or the database cannot be reached. Once the worker runs, it waits for a database that goes away.
    /// </exception>
    public void Run(CancellationToken cancellationToken)
    {
        Verify();

        // A trainer reads the model's config.json when it is made; a rank of 1 fits every model.
        mlContext.Sorsa().FineTune(new SorsaFineTuningTrainer.Options { ModelFolder = _modelFolder, Rank = 1 });
        int threads = torch.get_num_threads();
        try
        {
            RunJobs(cancellationToken);
        }
        finally
        {
            torch.set_num_threads(threads);
        }
    }

    private void RunJobs(CancellationToken cancellationToken)
    {
        SorsaCatalog catalog = mlContext.Sorsa();
        using var studies = new WorkerStudies(catalog, _modelFolder, _options.CacheFolder ?? DefaultCacheFolder());
        var stateChanger = new BackgroundJobStateChanger(TrialQueue.Filters);
        var performer = new BackgroundJobPerformer(TrialQueue.Filters, new Activation(new TrialJob(connectionString, studies)));

        // Workers, and who gives them a failed job again: Hangfire's own server would also look for recurring jobs, of any type.
        IBackgroundProcess[] processes =
        [
            .. Enumerable.Range(0, _options.TrialsAtATime).Select(_ => new Worker([TrialQueue.Name], performer, stateChanger)),
            new DelayedJobScheduler(TimeSpan.FromSeconds(1), stateChanger),
        ];
        using var server = new BackgroundProcessingServer(
            TrialQueue.Open(connectionString, _options.InvisibilityTimeout),
            processes.Select(process => new LoggedProcess(process, catalog.Environment)),
            new Dictionary<string, object> { ["Queues"] = new[] { TrialQueue.Name }, ["WorkerCount"] = _options.TrialsAtATime },
            new BackgroundProcessingServerOptions
            {
                CancellationCheckInterval = TimeSpan.FromSeconds(1),

                // A trial ends at its next step; it must not be under way any more when the model goes.
                ShutdownTimeout = Timeout.InfiniteTimeSpan,
            });
        cancellationToken.WaitHandle.WaitOne();
    }

    private static Options Whole(Options options) =>
        options.CacheFolder is { } folder ? options with { CacheFolder = WholePath(folder) } : options;

    private static string WholePath(string path) => string.IsNullOrWhiteSpace(path) ? path : Path.GetFullPath(path);

    /// <summary>Not in the temporary folder, where another user could have laid decompositions ready.</summary>
    internal static string DefaultCacheFolder()
    {
        string data = Environment.GetFolderPath(
            Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        string folder = Path.Combine(data, "Microsoft.ML.Sorsa", "decompositions");
        try
        {
            const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            return data == "" ? throw new IOException("The user has no such folder.")
                : OperatingSystem.IsWindows() ? Directory.CreateDirectory(folder).FullName
                : Directory.CreateDirectory(folder, OwnerOnly).FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"The worker's folder for decompositions, '{folder}', cannot be made: {e.Message} "
                + $"Name another one in {nameof(SorsaSweepWorker)}.{nameof(Options)}.{nameof(Options.CacheFolder)}.", e);
        }
    }

    private void Verify()
    {
        ArgumentNullException.ThrowIfNull(mlContext);
        ArgumentException.ThrowIfNullOrWhiteSpace(connectionString);
        ArgumentException.ThrowIfNullOrWhiteSpace(modelFolder);
        OptionRange.Verify(_options);

        // The sign of life comes once a second at most: with less time a busy machine would be too late.
        double seconds = _options.InvisibilityTimeout.TotalSeconds;
        if (seconds is < 3 or > 86400)
        {
            throw OptionRange.Error(nameof(Options.InvisibilityTimeout), seconds, "from 3 seconds to a day", "Use 12 seconds");
        }
    }

    /// <summary>Hangfire asks it for the object behind a job.</summary>
    private sealed class Activation(TrialJob job) : JobActivator
    {
        public override object ActivateJob(Type jobType) => job;
    }
}
