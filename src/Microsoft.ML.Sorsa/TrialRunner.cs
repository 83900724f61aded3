using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// Runs trials over one base: its weights are mapped once, its matrices decomposed once, the rows tokenised once. Several trials may run at a time, each on a thread of
/// its own.
/// </summary>
internal sealed class TrialRunner : IDisposable
{
    /// <summary>Looks at the validation rows where EvaluationSteps does not say.</summary>
    public const int Looks = 8;

    private readonly IHost _host;
    private readonly SorsaFineTuningTrainer.Options _template;
    private readonly SweepData _data;
    private readonly SweepMetric _metric;
    private readonly IDataView _validation;
    private readonly int _threads;
    private readonly OpenedFolder _folder;
    private readonly CausalLM _base;
    private readonly DecompositionCache _decompositions;
    private readonly Lock _turn = new();
    private readonly Dictionary<(int, int), (IReadOnlyList<SupervisedExample> Train, IReadOnlyList<SupervisedExample> Validation)> _examples = [];
    private long _rowsTokenized, _rowsReused;
    private int _loads;

    /// <param name="env">ML.NET's.</param>
    /// <param name="template">What trials do not vary; checked already.</param>
    /// <param name="largestRank">The largest rank that a trial can ask for: at it each matrix is decomposed.</param>
    /// <param name="data">The rows.</param>
    /// <param name="metric">What is looked for.</param>
    /// <param name="validation">The validation rows as the metric sees them; null: prompts and responses.</param>
    /// <param name="cacheFolder">Where decompositions are kept.</param>
    /// <param name="threads">Threads that a trial computes with; another number, other last bits.</param>
    public TrialRunner(
        IHostEnvironment env, SorsaFineTuningTrainer.Options template, int largestRank, SweepData data, SweepMetric metric, IDataView? validation, string cacheFolder, int threads)
    {
        _host = env.Register(nameof(TrialRunner));
        _template = template;
        _data = data;
        _metric = metric;
        _validation = validation ?? data.ValidationView(template);
        _threads = threads;
        _decompositions = new DecompositionCache(cacheFolder, largestRank, template.Seed);
        _folder = new OpenedFolder(template, DecoderConfig.Load(template.ModelFolder), TorchDevice.Of(env));
        try
        {
            _base = _folder.Load();
        }
        catch
        {
            _folder.Dispose();
            throw;
        }
    }

    /// <summary>Names the base: its weights, and the files beside them that decide what it computes.</summary>
    public string ModelFingerprint => $"{_base.Fingerprint} {_folder.FilesFingerprint}";

    public SharedWork Shared => new()
    {
        Decompositions = _decompositions.Made,
        DecompositionsReused = _decompositions.Found,
        DecompositionTimeSaved = _decompositions.Saved,
        RowsTokenized = _rowsTokenized,
        RowsReused = _rowsReused,
        ModelLoadsSaved = Math.Max(0, _loads - 1),
    };

    /// <summary>Trains a trial.</summary>
    /// <returns>Its end, and the model where it was trained to its end; that is the caller's.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="IOException">And whatever else is not the trial's own fault: what the listener, the user's metric or the rows throw.</exception>
    public (TrialResult Result, SorsaTransformer? Model) Run(TrialPlan plan, Action<CurvePoint> report, CancellationToken cancellationToken)
    {
        torch.set_num_threads(_threads);
        var clock = Stopwatch.StartNew();
        var curve = new List<CurvePoint>();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            SorsaFineTuningTrainer.Options options = SweptOptions.Apply(_template, plan.Settings.Parameters);
            options.CancellationToken = end.Token;
            options.Progress = new EachStep(progress =>
            {
                if (progress.ValidationLoss is { } loss)
                {
                    curve.Add(new CurvePoint(progress.Step, loss, progress.Orthonormality));
                    NotOfTheTrial(() => report(curve[^1]));
                    if (progress.Step < progress.TotalSteps && plan.IsToEnd(curve))
                    {
                        end.Cancel();
                    }
                }
            });
            options.Validate();
            using IChannel channel = _host.Start("Trial");
            (SorsaTransformer model, double? orthonormality) = Train(channel, options);
            try
            {
                double metric = 0;
                NotOfTheTrial(() => metric = _metric.Measure(model, _validation, curve, options));
                _metric.RequireFinite(metric);
                return (Ended(TrialState.Completed, null) with { Metric = metric, Orthonormality = orthonormality }, model);
            }
            catch
            {
                model.Dispose();
                throw;
            }
        }
        catch (OutsideException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerException!);
            throw;
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return (Ended(TrialState.Pruned, null), null);
        }
        catch (Exception e) when (e is ArithmeticException or ArgumentException)
        {
            return (Ended(TrialState.Failed, e.Message), null);
        }

        TrialResult Ended(TrialState state, string? error) =>
            new() { TrialSettings = plan.Settings, State = state, Curve = curve, Error = error, DurationInMilliseconds = clock.Elapsed.TotalMilliseconds };
    }

    public void Dispose()
    {
        _base.Dispose();
        _folder.Dispose();
    }

    private (SorsaTransformer Model, double? Orthonormality) Train(IChannel channel, SorsaFineTuningTrainer.Options options)
    {
        Interlocked.Increment(ref _loads);
        using var start = new FolderBase(options, _folder, _base.Share);
        var run = new FineTuningRun(channel, options, start) { Decomposition = _decompositions, Looks = Looks };
        var prompts = new PromptEncoder(start.Tokenizer, options.PromptTemplate);
        (IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation) = Examples(run, prompts, options);
        return (run.Train(prompts, train, validation), run.Orthonormality);
    }

    private (IReadOnlyList<SupervisedExample> Train, IReadOnlyList<SupervisedExample> Validation) Examples(FineTuningRun run, PromptEncoder prompts, SorsaFineTuningTrainer.Options options)
    {
        lock (_turn)
        {
            int rows = _data.Train.Count + _data.Validation.Count;
            (int, int) lengths = (options.MaxPromptLength, options.MaxResponseLength);
            if (_examples.TryGetValue(lengths, out var known))
            {
                _rowsReused += rows;
                return known;
            }

            // A row that does not fit any trial is an error of the data; with lengths of its own, it is the trial's.
            (IReadOnlyList<SupervisedExample>, IReadOnlyList<SupervisedExample>) encoded = default;
            void Encode() => encoded = (run.Encode(prompts, _data.Train, "trainData"), run.Encode(prompts, _data.Validation, "validationData"));
            if (lengths == (_template.MaxPromptLength, _template.MaxResponseLength))
            {
                NotOfTheTrial(Encode);
            }
            else
            {
                Encode();
            }

            _rowsTokenized += rows;
            _examples.Add(lengths, encoded);
            return encoded;
        }
    }

    /// <summary>Does what a trial is not to blame for: an error in it is not that of its options.</summary>
    private static void NotOfTheTrial(Action act)
    {
        try
        {
            act();
        }
        catch (Exception e)
        {
            throw new OutsideException(e);
        }
    }

    /// <summary>On the thread that trains, unlike <see cref="Progress{T}"/>.</summary>
    private sealed class EachStep(Action<SorsaTrainingProgress> act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => act(value);
    }

    private sealed class OutsideException(Exception inner) : Exception(inner.Message, inner);
}
