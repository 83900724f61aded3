using System.CommandLine;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tool.Inputs;
using Microsoft.ML.Sorsa.Tool.Options;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

/// <summary>Looks for the options that train the best model; a sweep that was interrupted goes on with the same command.</summary>
internal sealed class SweepVerb : Verb
{
    private const string Study = "study.db", ValidationLoss = "validation-loss", ExactMatch = "exact-match";

    private readonly TrainingArguments _training;
    private readonly OptionTable<PruningOptions> _pruning = new();

    private readonly Option<string[]> _vary = new("--vary")
    {
        Arity = ArgumentArity.OneOrMore,
        HelpName = "NAME=VALUES",
        Description = "An option of train to vary, once for each: rank=8,16,32 or gamma=1e-5..1e-2:log. Default: the paper's space.",
    };

    private readonly Option<int> _trials = new("--trials")
    {
        HelpName = "N",
        Description = "Trials in all. Default 16.",
        DefaultValueFactory = _ => 16,
    };

    private readonly Option<string> _metric = new("--metric")
    {
        HelpName = $"{ValidationLoss}|{ExactMatch}|GRADER",
        Description = "What decides: the lowest validation loss, or the most answers that are right. Default validation-loss.",
        DefaultValueFactory = _ => ValidationLoss,
    };

    private readonly Option<string> _tuner = new("--tuner")
    {
        HelpName = "tpe|random|grid",
        Description = "Who proposes trials. Default tpe, the tree of Parzen estimators.",
        DefaultValueFactory = _ => "tpe",
    };

    private readonly Option<bool> _noPruning = new("--no-pruning") { Description = "Every trial is trained to its end." };

    private readonly Option<int?> _concurrent = new("--concurrent-trials") { HelpName = "N", Description = "Trials at a time. Default 1." };

    private readonly Option<int?> _threads = new("--threads-per-trial")
    {
        HelpName = "N",
        Description = "Threads of a trial. Default: an even share of the cores.",
    };

    private readonly Option<double?> _seconds = new("--seconds") { HelpName = "NUMBER", Description = "No trial starts after so many." };

    private readonly Option<int> _studySeed = new("--study-seed")
    {
        HelpName = "N",
        Description = "Decides the tuner's draws and, without validation rows, their choice. Default 0.",
    };

    private readonly Option<string> _out = new("--out", "-o")
    {
        HelpName = "FOLDER",
        Description = "A folder for the study, its report and the best model. Default sorsa-sweep.",
        DefaultValueFactory = _ => "sorsa-sweep",
    };

    public SweepVerb(Shell shell)
        : base(shell, "sweep", "Looks for the options that train the best model. Takes train's options, too.")
    {
        _training = new TrainingArguments(this, shell);
        _tuner.AcceptOnlyFromAmong("tpe", "random", "grid");
        foreach (Option option in (Option[])
            [_vary, _trials, _metric, _tuner, _noPruning, _concurrent, _threads, _seconds, _studySeed, _out])
        {
            Options.Add(option);
        }

        Least(_trials, 1);
        Least(_concurrent, 1);
        Least(_threads, 1);
        _pruning.AddTo(this);
        shell.Options.AddRange(_pruning.Entries);
    }

    protected override JsonObject Run(Session session)
    {
        ParseResult arguments = session.Arguments;
        RunSettings settings = _training.Read(arguments);
        VerifyVaried(arguments);
        string folder = arguments.GetValue(_out)!, model = RunFolder.Model(folder);
        var lines = new TrialLines(session);
        SorsaExperiment experiment = Experiment(session, settings, Path.Combine(folder, Study)).SetMonitor(lines);
        bool isNew = !File.Exists(Path.Combine(folder, Study));
        if (isNew)
        {
            Output.VerifyFolder(folder);
        }
        else if (Directory.Exists(model))
        {
            throw new CommandException(ExitCode.Output, $"'{folder}' holds a sweep that is done. Name another folder with --out.");
        }

        Output.Write(folder, () => Directory.CreateDirectory(folder));
        using ExperimentResult found = Run(session, experiment, folder, lines, isNew);
        string report = Path.Combine(folder, "report.html");
        Output.Write(report, () => found.SaveReport(report));
        Output.Write(model, () => found.Model.SaveHuggingFace(model));
        session.Say(
            $"best: trial {found.BestRun.TrialSettings.TrialId}, {found.Metric.Name} {found.BestRun.Metric:G5}, {Text(found.BestRun)}");
        session.Say($"model: {model}");
        session.Say($"report: {report}");
        return new JsonObject
        {
            ["best"] = Json(found.BestRun),
            ["metric"] = found.Metric.Name,
            ["model"] = model,
            ["report"] = report,
            ["trials"] = new JsonArray([.. found.Trials.Select(Json)]),
        };
    }

    /// <summary>Of what is varied without being named, a value would be passed over.</summary>
    private void VerifyVaried(ParseResult arguments)
    {
        string? set = arguments.GetValue(_vary) is { Length: > 0 }
            ? null
            : SorsaSearchSpace.Paper().Select(option => option.Key).FirstOrDefault(key => _training.Has(arguments, key));
        if (set is not null)
        {
            string all = string.Join(", ", SorsaSearchSpace.Paper().Select(option => OptionName.Of(option.Key)));
            throw new CommandException(ExitCode.Usage,
                $"{OptionName.Of(set)} is what the sweep varies: {all}, where no --vary is named. Leave it out, or name what is to be "
                + "varied with --vary.");
        }
    }

    private SorsaExperiment Experiment(Session session, RunSettings settings, string study)
    {
        ParseResult arguments = session.Arguments;
        (IDataView train, IDataView? validation) = RowFile.Load(session.Context, settings);
        SorsaExperiment experiment = session.Sorsa.CreateExperiment()
            .SetTrainer(settings.Options)
            .SetSearchSpace(VariedOptions.Parse(arguments.GetValue(_vary) ?? []))
            .SetMetric(Metric(arguments.GetValue(_metric)!))
            .SetMaxModelToExplore(arguments.GetValue(_trials))
            .SetSeed(arguments.GetValue(_studySeed))
            .SetStudy(study)
            .SetTuner(arguments.GetValue(_tuner) switch
            {
                "random" => new RandomSearchTuner(),
                "grid" => new GridSearchTuner(),
                _ => new TreeParzenTuner(),
            });
        experiment = validation is null ? experiment.SetDataset(train) : experiment.SetDataset(train, validation);
        if (arguments.GetValue(_noPruning))
        {
            experiment.SetPruning(_pruning.FirstSet(arguments) is { } set
                ? throw new CommandException(ExitCode.Usage, $"{set.Name} and --no-pruning do not go together. Leave one out.")
                : null);
        }
        else if (_pruning.FirstSet(arguments) is not null)
        {
            experiment.SetPruning(_pruning.Apply(arguments, new PruningOptions()));
        }

        if (arguments.GetValue(_concurrent) is { } concurrent)
        {
            experiment.SetMaxConcurrentTrials(concurrent);
        }

        if (arguments.GetValue(_threads) is { } threads)
        {
            experiment.SetThreadsPerTrial(threads);
        }

        return arguments.GetValue(_seconds) is { } seconds ? experiment.SetTrainingTimeInSeconds(seconds) : experiment;
    }

    private static ExperimentResult Run(Session session, SorsaExperiment experiment, string folder, TrialLines lines, bool isNew)
    {
        try
        {
            return experiment.RunAsync(session.CancellationToken).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException e) when (session.CancellationToken.IsCancellationRequested)
        {
            throw new CommandException(session.Interruption.ExitCode,
                $"Interrupted; the trials that are done are in '{Path.Combine(folder, Study)}'. The same command goes on.", e);
        }
        catch when (isNew && !lines.HasBegun)
        {
            // Refused: the same command is to work once it is mended.
            Directory.Delete(folder, recursive: true);
            throw;
        }
    }

    private static SweepMetric Metric(string name) => OptionName.Bare(name) switch
    {
        "validationloss" => SweepMetric.ValidationLoss,
        "exactmatch" => SweepMetric.ExactMatch,
        _ => SweepMetric.Accuracy(Grader(name)),
    };

    private static IAnswerGrader Grader(string name)
    {
        try
        {
            return (IAnswerGrader)OptionValue.Parse(typeof(IAnswerGrader), isNullable: false, [name])!;
        }
        catch (FormatException e)
        {
            string message = e.Message.Replace("one of ", $"{ValidationLoss}, {ExactMatch}, or one of ", StringComparison.Ordinal);
            throw new CommandException(ExitCode.Usage, $"--metric {message}", e);
        }
    }

    private static string Text(TrialResult trial) => string.Join(", ", trial.TrialSettings.Parameters.Select(
        value => FormattableString.Invariant($"{OptionName.Of(value.Key)[2..]} {value.Value ?? "null"}")));

    private static JsonObject Json(TrialResult trial) => new()
    {
        ["trial"] = trial.TrialSettings.TrialId,
        ["state"] = trial.State.ToString(),
        ["metric"] = Numbers.Of(trial.Metric),
        ["error"] = trial.Error,
        ["seconds"] = trial.DurationInMilliseconds / 1000,
        ["parameters"] = new JsonObject(trial.TrialSettings.Parameters.Select(
            value => KeyValuePair.Create(value.Key, OptionValue.ToJson(value.Value)))),
    };

    /// <summary>A line for each trial, beside the result.</summary>
    private sealed class TrialLines(Session session) : IMonitor
    {
        /// <summary>Whether a trial was trained, or begun.</summary>
        public bool HasBegun { get; private set; }

        public void ReportRunningTrial(TrialSettings settings) => HasBegun = true;

        public void ReportCompletedTrial(TrialResult result) => session.Note(
            $"trial {result.TrialSettings.TrialId}: {result.State}, {Outcome(result)}, {Text(result)}");

        public void ReportFailTrial(TrialResult result) =>
            session.Note($"trial {result.TrialSettings.TrialId}: failed, {result.Error}; {Text(result)}");

        public void ReportBestTrial(TrialResult result)
        {
        }

        private static string Outcome(TrialResult result) => result.Metric is { } metric
            ? FormattableString.Invariant($"metric {metric:G5}")
            : FormattableString.Invariant($"validation loss {result.Curve.Select(point => point.Loss).Min():G5}");
    }
}
