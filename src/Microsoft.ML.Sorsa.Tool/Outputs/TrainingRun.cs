using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tool.Inputs;

namespace Microsoft.ML.Sorsa.Tool.Outputs;

/// <summary>One training into one folder, from its start or from its newest checkpoint, and what is written at its end.</summary>
internal static class TrainingRun
{
    /// <summary>Trains, and writes model, adapter and merge report; what of them is there stays as it is.</summary>
    /// <param name="session">Where it is told.</param>
    /// <param name="settings">What run.json holds.</param>
    /// <param name="folder">The run's folder.</param>
    /// <param name="progress">Told of the steps.</param>
    /// <exception cref="CommandException">It was interrupted: the message says how to go on.</exception>
    public static JsonObject Go(Session session, RunSettings settings, string folder, TrainingProgress progress)
    {
        SorsaFineTuningTrainer.Options options = settings.Options;
        (options.Progress, options.CancellationToken) = (progress, session.CancellationToken);
        SorsaFineTuningTrainer trainer = session.Sorsa.FineTune(options);
        (IDataView train, IDataView? validation) = RowFile.Load(session.Context, settings);
        try
        {
            // What does not fit, and a prompt that is refused, is seen before the training, and one model at a time is in memory.
            string[] before = AnswersOfBase(session, settings, train, validation);
            var clock = Stopwatch.StartNew();
            using SorsaTransformer model = progress.Show(() => validation is null ? trainer.Fit(train) : trainer.Fit(train, validation));
            double seconds = clock.Elapsed.TotalSeconds;
            JsonObject result = Report(progress, seconds);
            Save(model, HasAdapter(options), folder, result);
            string page = RunFolder.Report(folder);
            AnswerComparison[] answers = [.. settings.Ask.Zip(before, model.Generate(settings.Ask, session.CancellationToken))
                .Select(asked => new AnswerComparison(asked.First, asked.Second, asked.Third))];
            Output.Write(page, () => model.SaveReport(page, answers));
            result["report"] = page;
            session.Say($"model: {result["model"]!}");
            if (result["adapter"] is { } adapter)
            {
                session.Say($"adapter: {adapter}");
            }

            session.Say($"report: {page}");
            session.Say($"Ask it: sorsa generate {folder} \"...\"");
            return result;
        }
        catch (OperationCanceledException e) when (session.CancellationToken.IsCancellationRequested)
        {
            throw new CommandException(session.Interruption.ExitCode, Interrupted(options, progress, folder), e);
        }
    }

    /// <summary>Checkpoints and TensorBoard's files go into the run's folder, unless others are named, or none.</summary>
    public static void SetFolders(RunSettings settings, string folder)
    {
        SorsaFineTuningTrainer.Options options = settings.Options;
        options.CheckpointFolder = Own(nameof(options.CheckpointFolder), options.CheckpointFolder, RunFolder.Checkpoints(folder));
        options.TensorBoardFolder = Own(nameof(options.TensorBoardFolder), options.TensorBoardFolder, RunFolder.TensorBoard(folder));

        string? Own(string name, string? said, string own) => settings.SaidFolders.Contains(name) ? said : Path.GetFullPath(own);
    }

    /// <summary>
    /// Whether what trains is apart from the weights: that is what Alpha scales. Other methods train the weights themselves.
    /// </summary>
    public static bool HasAdapter(SorsaFineTuningTrainer.Options options) => options.HasEffect(nameof(options.Alpha));

    private static string[] AnswersOfBase(Session session, RunSettings settings, IDataView train, IDataView? validation)
    {
        if (settings.Ask.Count == 0)
        {
            return [];
        }

        if (settings.Options.MemoryCheck)
        {
            session.Sorsa.Estimate(settings.Options, train, validation).VerifyFits();
        }

        using SorsaTransformer untrained = session.Sorsa.LoadModel(settings.Options);
        try
        {
            return [.. untrained.Generate(settings.Ask, session.CancellationToken)];
        }
        catch (ArgumentException e)
        {
            throw new CommandException(ExitCode.Usage, $"--ask: {Failure.Of(e, session.Wording).Message}", e);
        }
    }

    private static JsonObject Report(TrainingProgress progress, double seconds) => new()
    {
        ["steps"] = progress.Last?.Step,
        ["loss"] = Numbers.Of(progress.Last?.Loss),
        ["validationLoss"] = Numbers.Of(progress.LowestValidationLoss),
        ["trainableParameters"] = progress.Last?.TrainableParameters,
        ["tokensPerSecond"] = Numbers.Of(progress.Last?.TokensPerSecond),
        ["seconds"] = seconds,
    };

    private static void Save(SorsaTransformer model, bool hasAdapter, string folder, JsonObject result)
    {
        // The model comes last: where it is, the run is done.
        string adapter = RunFolder.Adapter(folder), report = RunFolder.MergeReport(folder), whole = RunFolder.Model(folder);
        if (hasAdapter && !Directory.Exists(adapter))
        {
            Output.Write(adapter, () => model.SaveAdapter(adapter));
        }

        Output.Write(report, () => model.MergeReport!.Save(report));
        Output.Write(whole, () => model.SaveHuggingFace(whole));
        result["run"] = folder;
        result["model"] = whole;
        result["adapter"] = hasAdapter ? adapter : null;
        result["mergeReport"] = report;
    }

    private static string Interrupted(SorsaFineTuningTrainer.Options options, TrainingProgress progress, string folder) =>
        options.CheckpointFolder is not { Length: > 0 } checkpoints
        ? $"Interrupted after step {progress.Last?.Step ?? 0}; --checkpoint-folder is null, so that nothing of it is left."
        : progress.Last is null
        ? $"Interrupted before the first step. 'sorsa resume {folder}' begins anew."
        : $"Interrupted after step {progress.Last.Step} of {progress.Last.TotalSteps}, which is written in '{checkpoints}'. "
            + $"'sorsa resume {folder}' goes on.";
}
