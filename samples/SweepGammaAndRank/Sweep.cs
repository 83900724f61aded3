using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Sweeps;
using static System.FormattableString;

namespace SweepGammaAndRank;

/// <summary>Looks for γ, rank and learning rate, and saves the best model and the report.</summary>
internal static class Sweep
{
    /// <summary>Alpaca's instruction prompt with the response on a line of its own: the form of the bundled model's task.</summary>
    private static readonly PromptTemplate s_template = PromptTemplate.Format(PromptTemplate.Alpaca + "\n");

    public static int Run(Settings settings)
    {
        var mlContext = new MLContext();
        (IDataView train, IDataView validation) = TaskData.Load(mlContext, settings);
        Directory.CreateDirectory(settings.Out);
        var table = new SweepTable(settings.Trials);
        SorsaExperiment experiment = mlContext.Sorsa().CreateExperiment()
            .SetTrainer(new SorsaFineTuningTrainer.Options
            {
                ModelFolder = settings.Model,
                PromptTemplate = s_template,
                BatchSize = settings.Batch,
                Generation = new GenerationOptions { MaxNewTokens = 72, BatchSize = 16 },
            })
            .SetDataset(train, validation)
            .SetSearchSpace(SorsaSearchSpace.Paper(settings.LargestRank))
            .SetTuner(settings.Tuner switch
            {
                "grid" => new GridSearchTuner(3),
                "random" => new RandomSearchTuner(),
                _ => new TreeParzenTuner(),
            })
            .SetPruning(settings.Pruning ? new PruningOptions() : null)
            .SetMaxModelToExplore(settings.Trials)
            .SetMaxConcurrentTrials(settings.AtATime)
            .SetThreadsPerTrial(settings.Threads)
            .SetMonitor(table);
        if (settings.Minutes is { } minutes)
        {
            experiment.SetTrainingTimeInSeconds(minutes * 60);
        }

        using Workers? workers = settings.HasWorkers ? new Workers(settings) : null;
        if (workers is null)
        {
            experiment.SetStudy(Path.Combine(settings.Out, "study.db"));
        }
        else
        {
            experiment.SetHangfire(workers.ConnectionString, settings.Study);
            Say($"{settings.StartedWorkers ?? 0} workers started here; jobs and workers: {workers.DashboardAddress}");
            if (settings.StartedWorkers is null or 0)
            {
                Say(
                    $"waiting for workers: run this program with \"worker\" and {Database.Variable} set ",
                    $"on any machine that sees the database and has the model");
            }
        }

        var clock = Stopwatch.StartNew();
        using ExperimentResult result = table.Show(experiment.Run);
        TimeSpan time = clock.Elapsed;

        Say(
            $"{result.Trials.Count} trials in {time.TotalSeconds:F0} s: {Count(TrialState.Completed)} trained to the end, ",
            $"{Count(TrialState.Pruned)} ended early, {Count(TrialState.Failed)} failed");
        TrialResult best = result.BestRun;
        IEnumerable<string> parameters = best.TrialSettings.Parameters.Select(parameter => Invariant($"{parameter.Key} {parameter.Value}"));
        Say($"best: trial {best.TrialSettings.TrialId}, {result.Metric.Name} {best.Metric:F4}, {string.Join(", ", parameters)}");
        if (workers is null)
        {
            SharedWork shared = result.SharedWork;
            Say(
                $"shared: {shared.Decompositions} matrices decomposed once, {shared.DecompositionsReused} times not again ",
                $"({shared.DecompositionTimeSaved.TotalSeconds:F1} s); {shared.RowsTokenized} rows tokenised once, ",
                $"{shared.RowsReused} not again; the model loaded once, {shared.ModelLoadsSaved} times not again");
        }

        if (result.StoppedByTime)
        {
            Say($"the time was over before the trials were: another machine would have come to another number of them");
        }

        string zip = Path.Combine(settings.Out, "best.zip");
        result.Model.Save(zip, validation.Schema);
        Say($"saved: {zip}, {new FileInfo(zip).Length / 1e6:F1} MB");
        string report = Path.Combine(settings.Out, "report.html");
        result.SaveReport(report);
        Say($"report: {report}");
        return 0;

        int Count(TrialState state) => result.Trials.Count(trial => trial.State == state);
    }

    /// <summary>A line, of one or more parts.</summary>
    private static void Say(params FormattableString[] parts) => Console.WriteLine(string.Concat(parts.Select(Invariant)));
}
