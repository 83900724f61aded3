using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.ExceptionServices;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// Trains the trials of one study over one <see cref="SorsaBaseModel"/>. Several may run at a time, each on a thread of its own. An
/// experiment has one itself; a worker in another process makes one from what the study's store holds.
/// </summary>
public sealed class TrialRunner : IDisposable
{
    /// <summary>How often the validation loss of a trial is computed where EvaluationSteps does not say.</summary>
    internal const int Evaluations = 8;

    /// <summary>Every trial names the version that ran it.</summary>
    internal static readonly string LibraryVersion =
        typeof(SorsaTransformer).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    private readonly Options _trainer;
    private readonly SweepData _data;
    private readonly SweepMetric _metric;
    private readonly IDataView _validation;
    private readonly int _threads;
    private readonly SorsaBaseModel _model;

    /// <summary>For a worker.</summary>
    /// <param name="catalog">ML.NET's; its context decides the device.</param>
    /// <param name="definition">The study's.</param>
    /// <param name="inputs">The study's.</param>
    /// <param name="modelFolder">
    /// This machine's copy of the model; ask <see cref="HasModelFingerprint"/> whether it is the definition's.
    /// </param>
    /// <param name="decompositionFolder">
    /// Where decompositions are kept; workers of a machine may share one, which nobody else should be able to write to.
    /// </param>
    /// <exception cref="IOException">The folder or one of its files is not there.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt, or the weights are not those of config.json.</exception>
    public TrialRunner(
        SorsaCatalog catalog, StudyDefinition definition, StudyInputs inputs, string modelFolder, string decompositionFolder)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(definition);
        ArgumentNullException.ThrowIfNull(inputs);
        _trainer = inputs.Trainer(modelFolder);
        _data = inputs.Data;
        _metric = SweepMetric.Named(definition.Metric);
        _validation = _data.ValidationView(_trainer);
        _threads = definition.ThreadsPerTrial;
        _model = catalog.OpenBaseModel(_trainer, inputs.LargestRank, Path.GetFullPath(decompositionFolder));
    }

    /// <summary>For the experiment itself.</summary>
    internal TrialRunner(
        SorsaBaseModel model, SorsaFineTuningTrainer.Options trainer, SweepData data, IDataView? validation, SweepMetric metric,
        int threads)
    {
        _model = model;
        _trainer = trainer;
        _data = data;
        _validation = validation ?? data.ValidationView(trainer);
        _metric = metric;
        _threads = threads;
    }

    /// <summary>Names the model by its content, as <see cref="StudyDefinition.ModelFingerprint"/> does.</summary>
    public string ModelFingerprint => _model.Fingerprint;

    /// <summary>Whether a study's name of the model, given by this version or by 0.1, is that of the model here.</summary>
    /// <param name="fingerprint">The definition's <see cref="StudyDefinition.ModelFingerprint"/>.</param>
    public bool HasModelFingerprint(string fingerprint) => _model.HasFingerprint(fingerprint);

    internal SharedWork SharedWork => _model.SharedWork;

    /// <summary>
    /// Trains a trial. Sets libtorch's number of threads, which is the process's, to the study's and does not put it back: another trial
    /// may be running. Whoever runs trials puts it back after the last one.
    /// </summary>
    /// <param name="plan">The trial.</param>
    /// <param name="report">Told of each point of the curve, on the thread that trains.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>
    /// Its end: completed, pruned, or failed. Whatever the training or the metric throws fails the trial, want of memory included, but for
    /// what the exceptions below say.
    /// </returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="IOException">A file of the model or a decomposition cannot be read or written.</exception>
    /// <exception cref="UnauthorizedAccessException">The same.</exception>
    /// <exception cref="InvalidDataException">The same.</exception>
    /// <exception cref="ArgumentException">A row does not fit, though the trial has the trainer's own lengths.</exception>
    /// <remarks>What <paramref name="report"/> throws comes out as it is.</remarks>
    public TrialResult Run(TrialPlan plan, Action<CurvePoint> report, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(report);
        (TrialResult result, SorsaTransformer? model) = Train(plan, report, cancellationToken);
        model?.Dispose();
        return result;
    }

    /// <summary>The same, with the model where the trial was trained to its end; that is the caller's.</summary>
    internal (TrialResult Result, SorsaTransformer? Model) Train(
        TrialPlan plan, Action<CurvePoint> report, CancellationToken cancellationToken)
    {
        torch.set_num_threads(_threads);
        var clock = Stopwatch.StartNew();
        var curve = new List<CurvePoint>();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Options options = _trainer;
        try
        {
            options = SweptOptions.Apply(_trainer, plan.Settings.Parameters);
            options.CancellationToken = end.Token;
            if (_trainer.TensorBoardFolder is { } folder)
            {
                // A folder for each, which TensorBoard shows side by side.
                options.TensorBoardFolder = Path.Combine(
                    folder, string.Create(CultureInfo.InvariantCulture, $"trial-{plan.Settings.TrialId}"));
            }

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
            (SorsaTransformer model, double? orthonormality) = _model.FineTune(options, _data.Train, _data.Validation, Evaluations);
            try
            {
                double metric = Measure(model, curve, options);
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
        catch (Exception e) when (!IsOfEveryTrial(e, options))
        {
            return (Ended(TrialState.Failed, TrialError.Of(e)), null);
        }

        TrialResult Ended(TrialState state, string? error) => new()
        {
            TrialSettings = plan.Settings,
            State = state,
            Curve = curve,
            Error = error,
            DurationInMilliseconds = clock.Elapsed.TotalMilliseconds,
            Version = LibraryVersion,
        };
    }

    /// <summary>Frees the model.</summary>
    public void Dispose() => _model.Dispose();

    /// <summary>Whatever a metric throws is its trial's: another model may have one.</summary>
    private double Measure(SorsaTransformer model, IReadOnlyList<CurvePoint> curve, Options options)
    {
        double metric;
        try
        {
            metric = _metric.Measure(model, _validation, curve, options);
        }
        catch (Exception e)
        {
            throw new MetricException($"The metric '{_metric.Name}' threw {e.GetType().Name}: {TrialError.Of(e)}", e);
        }

        _metric.RequireFinite(metric);
        return metric;
    }

    /// <summary>
    /// What the next trial would meet as well: a row that does not fit, unless the trial has lengths and tokens of its own, and files of
    /// the model or of decompositions that cannot be read or written.
    /// </summary>
    private bool IsOfEveryTrial(Exception error, Options options) => error switch
    {
        OperationCanceledException or IOException or UnauthorizedAccessException or InvalidDataException => true,

        // No row has a prompt and a response.
        InvalidOperationException => error.GetType() == typeof(InvalidOperationException),
        ArgumentException { ParamName: "trainData" or "validationData" } =>
            (options.MaxPromptLength, options.MaxResponseLength, options.TrainedTokens, options.EndToken)
                == (_trainer.MaxPromptLength, _trainer.MaxResponseLength, _trainer.TrainedTokens, _trainer.EndToken),
        _ => false,
    };

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

    private sealed class MetricException(string message, Exception inner) : Exception(message, inner);
}
