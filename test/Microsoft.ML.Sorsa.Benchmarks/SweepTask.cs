using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Sweeps;
using QuickStart;
using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>A sweep over arithmetic stories.</summary>
internal sealed class SweepTask
{
    private const int BatchSize = 16;
    private const int TrainSeed = 2;
    private const int ValidationSeed = 3;

    private readonly string _model;

    private SweepTask(
        string model, IReadOnlyList<(string Question, string Answer)> train, IReadOnlyList<(string Question, string Answer)> validation)
    {
        _model = model;
        Train = Data(train);
        Validation = Data(validation);
        StepsBetweenLooks = ((train.Count + BatchSize - 1) / BatchSize + TrialRunner.Evaluations - 1) / TrialRunner.Evaluations;
    }

    public MLContext Context { get; } = new();

    public IDataView Train { get; }

    public IDataView Validation { get; }

    /// <summary>What a trial has where EvaluationSteps is not set.</summary>
    public int StepsBetweenLooks { get; }

    public static SweepTask Of(string model, int rows, int validationRows)
    {
        ArithmeticTask task = ArithmeticTask.Load(Folders.TinyLlama);
        IReadOnlyList<(string Question, string Answer)> validation = task.Draw(validationRows, ValidationSeed);
        return new SweepTask(model, task.Draw(rows, TrainSeed, validation.Select(row => row.Question).ToHashSet()), validation);
    }

    public Options Trainer() =>
        new() { ModelFolder = _model, PromptTemplate = PromptTemplate.Format(PromptTemplate.Alpaca + "\n"), BatchSize = BatchSize };

    public SorsaExperiment Experiment(SorsaSearchSpace space) =>
        Context.Sorsa().CreateExperiment().SetTrainer(Trainer()).SetDataset(Train, Validation).SetSearchSpace(space);

    private IDataView Data(IEnumerable<(string Question, string Answer)> rows) =>
        Context.Data.LoadFromEnumerable(rows.Select(row => new Row { Prompt = row.Question, Response = row.Answer }));

    private sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }
}
