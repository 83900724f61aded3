using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Tool.Inputs;
using Microsoft.ML.Sorsa.Tool.Options;
using Microsoft.ML.Sorsa.Tool.Outputs;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

/// <summary>What a training will take: memory by formulas, time by some of its steps.</summary>
internal sealed class EstimateVerb : Verb
{
    private readonly TrainingArguments _training;

    private readonly Option<int> _measuredSteps = new("--measured-steps")
    {
        HelpName = "N",
        Description = "Steps that are taken to measure the time; 0: memory alone, of which nothing is loaded. Default 3.",
        DefaultValueFactory = _ => 3,
    };

    public EstimateVerb(Shell shell)
        : base(shell, "estimate", "Says what a training would take of memory and time. Takes train's options.")
    {
        _training = new TrainingArguments(this, shell);
        Options.Add(_measuredSteps);
        Least(_measuredSteps, 0);
    }

    protected override JsonObject Run(Session session)
    {
        int steps = session.Arguments.GetValue(_measuredSteps);
        RunSettings settings = _training.Read(session.Arguments, needsData: steps > 0);
        SorsaFineTuningTrainer.Options options = settings.Options, defaults = new();

        // Nothing is written.
        (options.TensorBoardFolder, options.CheckpointFolder, options.CheckpointSteps, options.KeepCheckpoints, options.Resume) =
            (null, null, defaults.CheckpointSteps, defaults.KeepCheckpoints, defaults.Resume);
        (IDataView? train, IDataView? validation) = settings.Data is null ? (null, null) : RowFile.Load(session.Context, settings);
        SorsaMemoryEstimate memory = session.Sorsa.Estimate(options, train, validation);
        session.Say($"{session.Wording.In(memory.ToString().TrimEnd())}");
        var result = new JsonObject { ["memory"] = Json(memory) };
        if (steps > 0)
        {
            result["time"] = memory.Fits == false && options.MemoryCheck ? null : Time(session, options, train!, validation, steps);
        }

        return result;
    }

    private static JsonObject Time(
        Session session, SorsaFineTuningTrainer.Options options, IDataView train, IDataView? validation, int steps)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(session.CancellationToken);
        var clock = new StepClock(steps, end);
        (options.Progress, options.CancellationToken) = (clock, end.Token);
        SorsaFineTuningTrainer trainer = session.Sorsa.FineTune(options);
        try
        {
            (validation is null ? trainer.Fit(train) : trainer.Fit(train, validation)).Dispose();
        }
        catch (OperationCanceledException) when (!session.CancellationToken.IsCancellationRequested)
        {
            // Enough steps were seen.
        }

        TimeSpan all = clock.Start + (clock.Step * clock.TotalSteps);
        session.Say($"Time: {Numbers.Time(all)}, validation not counted: {Numbers.Time(clock.Start)} to load and to begin, and");
        session.Say($"  {clock.TotalSteps} steps of {clock.Step.TotalSeconds:G3} s, of which {clock.Seen} were measured");
        return new JsonObject
        {
            ["totalSteps"] = clock.TotalSteps,
            ["measuredSteps"] = clock.Seen,
            ["secondsPerStep"] = clock.Step.TotalSeconds,
            ["secondsToStart"] = clock.Start.TotalSeconds,
            ["seconds"] = all.TotalSeconds,
            ["tokensPerSecond"] = Numbers.Of(clock.TokensPerSecond),
        };
    }

    private static JsonObject Json(SorsaMemoryEstimate memory) => new()
    {
        ["device"] = memory.Device,
        ["peak"] = memory.Peak,
        ["available"] = memory.Available,
        ["fits"] = memory.Fits,
        ["weights"] = memory.Weights,
        ["adapters"] = memory.Adapters,
        ["moments"] = memory.Moments,
        ["gradients"] = memory.Gradients,
        ["bestWeights"] = memory.BestWeights,
        ["activations"] = memory.Activations,
        ["logits"] = memory.Logits,
        ["startPeak"] = memory.StartPeak,
        ["stepPeak"] = memory.StepPeak,
        ["validationPeak"] = memory.ValidationPeak,
        ["endPeak"] = memory.EndPeak,
        ["remedies"] = new JsonArray([.. memory.Remedies.Select(remedy =>
            new JsonObject { ["change"] = remedy.Change, ["peak"] = remedy.Peak })]),
    };

    /// <summary>
    /// Ends a training after some steps, and knows how long they took; the first, which warms up, counts if it is the only one.
    /// </summary>
    private sealed class StepClock(int steps, CancellationTokenSource end) : IProgress<SorsaTrainingProgress>
    {
        private readonly Stopwatch _clock = Stopwatch.StartNew();
        private TimeSpan _first, _last;

        public int TotalSteps { get; private set; }

        public int Seen { get; private set; }

        public double TokensPerSecond { get; private set; }

        public TimeSpan Step => Seen > 1 ? (_last - _first) / (Seen - 1) : _first;

        public TimeSpan Start => Seen > 1 && _first > Step ? _first - Step : TimeSpan.Zero;

        public void Report(SorsaTrainingProgress value)
        {
            (_last, TotalSteps, TokensPerSecond, Seen) = (_clock.Elapsed, value.TotalSteps, value.TokensPerSecond, Seen + 1);
            if (Seen == 1)
            {
                _first = _last;
            }

            if (Seen == steps)
            {
                end.Cancel();
            }
        }
    }
}
