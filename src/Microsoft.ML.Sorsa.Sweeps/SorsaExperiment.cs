using Microsoft.ML.Sorsa.DataViews;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// Looks for the options that train the best model, in the words of ML.NET's AutoML. Made by <c>mlContext.Sorsa().CreateExperiment()</c>;
/// needs <see cref="SetTrainer"/>, a data set and a search space.
/// </summary>
public sealed class SorsaExperiment
{
    private readonly SorsaCatalog _catalog;
    private readonly List<IMonitor> _monitors = [];
    private SorsaFineTuningTrainer.Options? _trainer;
    private IDataView? _train, _validation;
    private double _validationFraction;
    private SorsaSearchSpace? _space;
    private ITuner _tuner = new TreeParzenTuner();
    private PruningOptions? _pruning = new();
    private SweepMetric _metric = SweepMetric.ValidationLoss;
    private int _models = 16, _atATime = 1, _seed;
    private int? _threads;
    private TimeSpan _time = TimeSpan.MaxValue;
    private string? _study, _decompositions;
    private Func<StudyInputs, (IStudyStore Store, ITrialExecutor Executor)>? _executor;

    internal SorsaExperiment(SorsaCatalog catalog) => _catalog = catalog;

    /// <summary>What the trials have in common: all that the search space does not vary. Copied.</summary>
    /// <param name="options">
    /// The trainer's. A relative ModelFolder is made whole now. Progress and CancellationToken must be null: an experiment has a monitor
    /// and takes a token when it runs.
    /// </param>
    public SorsaExperiment SetTrainer(SorsaFineTuningTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.CheckpointFolder is not null)
        {
            throw new ArgumentException(
                $"CheckpointFolder is '{options.CheckpointFolder}', which is for one training: trials of a sweep are run again from their "
                + "beginning. Leave it null; a study (SetStudy) goes on with the trials that are left.", nameof(options));
        }

        if (options.Analysis is not null)
        {
            throw new ArgumentException(
                "Analysis is set, and a sweep keeps no analysis of its trials. Leave it null; train once more with the options of the best "
                + "trial, and analyse that.", nameof(options));
        }

        _trainer = options.Copy();
        _trainer.ModelFolder = WholePath(options.ModelFolder);
        return this;
    }

    /// <summary>Rows to train on, and others to compare the trials by.</summary>
    public SorsaExperiment SetDataset(IDataView train, IDataView validation)
    {
        ArgumentNullException.ThrowIfNull(train);
        ArgumentNullException.ThrowIfNull(validation);
        (_train, _validation) = (train, validation);
        return this;
    }

    /// <summary>Rows of which a share compares the trials; the seed decides which, and no trial trains on them.</summary>
    /// <param name="train">All rows.</param>
    /// <param name="validationFraction">The share. Default 0.1; above 0, below 1.</param>
    public SorsaExperiment SetDataset(IDataView train, double validationFraction = 0.1)
    {
        ArgumentNullException.ThrowIfNull(train);
        _validationFraction = validationFraction is > 0 and < 1
            ? validationFraction
            : throw OptionRange.Error(nameof(validationFraction), validationFraction, "above 0 and below 1", "Use 0.1");
        (_train, _validation) = (train, null);
        return this;
    }

    /// <summary>
    /// What to vary. Checked against the trainer's options and the model when the experiment runs, before anything is loaded.
    /// </summary>
    public SorsaExperiment SetSearchSpace(SorsaSearchSpace space)
    {
        ArgumentNullException.ThrowIfNull(space);
        _space = space.Clone();
        return this;
    }

    /// <summary>
    /// Who proposes trials: a <see cref="GridSearchTuner"/>, a <see cref="RandomSearchTuner"/>, or, as by default, a
    /// <see cref="TreeParzenTuner"/>.
    /// </summary>
    public SorsaExperiment SetTuner(ITuner tuner)
    {
        ArgumentNullException.ThrowIfNull(tuner);
        _tuner = tuner;
        return this;
    }

    /// <summary>
    /// When trials end early; null: never. By default as <see cref="PruningOptions"/> has it, over 8 evaluations unless
    /// the trainer's EvaluationSteps says otherwise.
    /// </summary>
    public SorsaExperiment SetPruning(PruningOptions? pruning)
    {
        _pruning = pruning;
        return this;
    }

    /// <summary>What to optimise. Default <see cref="SweepMetric.ValidationLoss"/>.</summary>
    public SorsaExperiment SetMetric(SweepMetric metric)
    {
        ArgumentNullException.ThrowIfNull(metric);
        _metric = metric;
        return this;
    }

    /// <summary>Someone to be told; several calls, several listeners.</summary>
    public SorsaExperiment SetMonitor(IMonitor monitor)
    {
        ArgumentNullException.ThrowIfNull(monitor);
        _monitors.Add(monitor);
        return this;
    }

    /// <summary>The trials of the study in all. Default 16; at least 1.</summary>
    public SorsaExperiment SetMaxModelToExplore(int maxModel)
    {
        _models = maxModel >= 1 ? maxModel : throw OptionRange.Error(nameof(maxModel), maxModel, "at least 1", "Use 16");
        return this;
    }

    /// <summary>
    /// After so many seconds no trial starts any more. Default: no limit; above 0. What comes out then depends on the machine's speed.
    /// </summary>
    public SorsaExperiment SetTrainingTimeInSeconds(double seconds)
    {
        _time = seconds > 0 && seconds < TimeSpan.MaxValue.TotalSeconds
            ? TimeSpan.FromSeconds(seconds)
            : throw OptionRange.Error(nameof(seconds), seconds, "above 0", "Leave it out for no limit");
        return this;
    }

    /// <summary>
    /// W, the trials at a time. It is part of the study: the parameters of trial k follow from the results of trials 1 to k − W, so that
    /// they are the same whichever trial is faster. Default 1; from 1 to 1024.
    /// </summary>
    public SorsaExperiment SetMaxConcurrentTrials(int trials)
    {
        _atATime = trials is >= 1 and <= 1024
            ? trials
            : throw OptionRange.Error(
                nameof(trials), trials, "from 1 to 1024", "Use the number of cores for small models, 1 for large ones");
        return this;
    }

    /// <summary>
    /// Threads that each trial computes with: part of the study, since another number gives other last bits. Default: the cores of this
    /// machine divided by the trials at a time; where trials run on other machines, it must be said. At least 1.
    /// </summary>
    public SorsaExperiment SetThreadsPerTrial(int threads)
    {
        _threads = threads >= 1
            ? threads
            : throw OptionRange.Error(nameof(threads), threads, "at least 1", "Leave it out for an even share of the cores");
        return this;
    }

    /// <summary>
    /// Decides the tuner's draws and the choice of validation rows. Default 0. What each training draws, the trainer's own Seed decides,
    /// the same for all trials.
    /// </summary>
    public SorsaExperiment SetSeed(int seed)
    {
        _seed = seed;
        return this;
    }

    /// <summary>
    /// Keeps the study in an SQLite file: after a crash, or with more trials, running the same experiment again goes on with it.
    /// Decompositions are kept beside it, in a folder of its name and ".svd". Default: in memory.
    /// </summary>
    /// <param name="path">The file; it is made if it is not there. A relative path is made whole now.</param>
    public SorsaExperiment SetStudy(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        _study = Path.GetFullPath(path);
        return this;
    }

    /// <summary>A folder for decompositions that studies over the same model share.</summary>
    /// <param name="folder">Made if it is not there. A relative path is made whole now.</param>
    public SorsaExperiment SetDecompositionCache(string folder)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        _decompositions = Path.GetFullPath(folder);
        return this;
    }

    /// <summary>
    /// Has the trials run by somebody else, in other processes, and keeps the study where those see it. For packages such as
    /// Microsoft.ML.Sorsa.Hangfire. The metric must be built in, and <see cref="SetThreadsPerTrial"/> called.
    /// </summary>
    /// <param name="create">
    /// Called once a run, with what whoever runs trials has to know: the study's store, which the experiment opens and disposes, and the
    /// executor, which is asked for trials once the store is open.
    /// </param>
    public SorsaExperiment SetTrialExecutor(Func<StudyInputs, (IStudyStore Store, ITrialExecutor Executor)> create)
    {
        ArgumentNullException.ThrowIfNull(create);
        _executor = create;
        return this;
    }

    /// <summary>Runs the trials, waits for them, and gives the best model.</summary>
    /// <remarks>Meanwhile libtorch's number of threads, which is the process's, is that of a trial; it is put back at the end.</remarks>
    /// <inheritdoc cref="RunAsync" path="/exception"/>
    public ExperimentResult Run() => RunAsync(CancellationToken.None).GetAwaiter().GetResult();

    /// <summary>
    /// Runs the trials, and gives the best model. Meanwhile libtorch's number of threads, which is the process's, is that of a trial; it
    /// is put back at the end.
    /// </summary>
    /// <param name="cancellationToken">Ends the experiment; a study on disk keeps what is finished.</param>
    /// <exception cref="ArgumentException">
    /// An option is not one of the trainer's, or a value is outside its range or does not fit the model; the columns are not there.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// Trainer, data or space are missing; the study was begun with other settings, or is in use; no trial was completed, and the message
    /// says why.
    /// </exception>
    /// <exception cref="IOException">The model or the study cannot be read or written.</exception>
    /// <exception cref="InvalidDataException">The study or a file of the model is damaged; the message says where.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public Task<ExperimentResult> RunAsync(CancellationToken cancellationToken)
    {
        Sweep sweep = Prepare();
        return Task.Run(() => sweep.RunAsync(_executor, cancellationToken), cancellationToken);
    }

    private Sweep Prepare()
    {
        SorsaFineTuningTrainer.Options trainer = (_trainer ?? throw Missing("trainer", nameof(SetTrainer))).Copy();
        SorsaSearchSpace space = _space ?? throw Missing("search space", nameof(SetSearchSpace));
        IDataView train = _train ?? throw Missing("data set", nameof(SetDataset));
        if (trainer.Progress is not null || trainer.CancellationToken.CanBeCanceled)
        {
            throw new ArgumentException("Progress and CancellationToken of the trainer are set; an experiment has SetMonitor, and "
                + "RunAsync takes a token. Leave them at their defaults.", nameof(trainer));
        }

        if (trainer.Ranks is not null)
        {
            throw new ArgumentException("Ranks of the trainer is set; a trial trains in one process, and an experiment runs several trials "
                + "at a time. Leave Ranks null, and start the program without mpirun.", nameof(trainer));
        }

        if (trainer.ComputeType == WeightType.Auto)
        {
            throw new ArgumentException($"ComputeType of the trainer is {WeightType.Auto}, by which each machine may compute in another "
                + $"type, and a study compares its trials. Choose {WeightType.Float32} or {WeightType.BFloat16}.", nameof(trainer));
        }

        var pruning = new PruningRules(_pruning);
        space.Validate();
        pruning.Validate();
        SweptOptions.Verify(_catalog, trainer, space);
        var sweep = new Sweep
        {
            Catalog = _catalog,
            Trainer = trainer,
            Space = space,
            Data = Rows(trainer, train),
            ValidationView = _validation,
            Tuner = _tuner,
            Pruning = pruning,
            Metric = _metric,
            Monitors = _monitors,
            MaxModels = _models,
            Time = _time,
            TrialsAtATime = _atATime,
            ThreadsPerTrial = _threads ?? (_executor is null ? Math.Max(1, Environment.ProcessorCount / _atATime) : throw NoThreads()),
            Seed = _seed,
            StudyPath = _study,
            DecompositionFolder = _decompositions,
        };
        if (_executor is not null)
        {
            sweep.VerifyForOtherProcesses();
        }

        return sweep;
    }

    private SweepData Rows(SorsaFineTuningTrainer.Options trainer, IDataView train)
    {
        IReadOnlyList<(string, string)> Read(IDataView data) =>
            [.. PromptResponseReader.Read(data, trainer.PromptColumnName, trainer.ResponseColumnName)];
        return _validation is null
            ? SweepData.Split(Read(train), _validationFraction, _seed)
            : new SweepData(Read(train), Read(_validation));
    }

    /// <summary>The current directory may be another one when the experiment runs.</summary>
    private static string WholePath(string folder) => string.IsNullOrWhiteSpace(folder) ? folder : Path.GetFullPath(folder);

    private static InvalidOperationException NoThreads() => new(
        "The trials run on other machines, and this one's cores say nothing of theirs. "
        + $"Call {nameof(SetThreadsPerTrial)} with the threads that each trial computes with.");

    private static InvalidOperationException Missing(string what, string call) =>
        new($"The experiment has no {what}. Call {call} before it runs.");
}
