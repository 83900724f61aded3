using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// The training loop, the only one. A step as the paper's Eq. (11) has it:
/// <code>
/// g = clip(∇L_train) + (γ / η_d) ∇L_reg,     AdamW step on g with η_t
/// </code>
/// ∇L_train is that of the mean over all labels of the step's rows, however they are cut into micro-batches; the
/// regularizer comes once per step and is not clipped. η_d is the peak learning rate, so that γ_t = γ · η_t / η_d as in Eq. (10).
/// Where a method's penalty is a summand of the loss (AdaLoRA), γ ∇L_reg is in ∇L_train and clipped with it. After the step the method may
/// do something of its own, while the gradients are still there.
/// </summary>
internal sealed class TrainingLoop(ITrainedModel model, AdapterSet adapters, TrainingSettings settings)
{
    private readonly IReadOnlyList<KeyValuePair<string, Parameter>> _trainable = adapters.Trainable;
    private readonly OrthonormalityRegularizer _regularizer = new(adapters.OrthonormalFactors, adapters.Penalty?.Mean ?? true);

    /// <summary>Where the state is written; null: nowhere.</summary>
    public TrainingCheckpoints? Checkpoints { get; init; }

    /// <summary>Looks at the losses; null: nobody does.</summary>
    public LossWatch? LossWatch { get; init; }

    /// <summary>Looks at what trains; null: nobody does.</summary>
    public AdapterAnalysis? Analysis { get; init; }

    /// <summary>Trains from the first step to the last; see <see cref="Continue"/>.</summary>
    public void Run(
        IEnumerable<IReadOnlyList<IReadOnlyList<SupervisedExample>>> steps, int totalSteps, Func<double>? validate,
        Action<SorsaTrainingProgress> report, CancellationToken cancellationToken)
    {
        using var state = new TrainingState(adapters, settings);
        Continue(state, steps, totalSteps, validate, report, cancellationToken);
    }

    /// <summary>
    /// Trains to the end of the steps, or until the validation loss no longer falls; then the weights of its lowest value stand.
    /// </summary>
    /// <param name="state">Where training stands; advanced.</param>
    /// <param name="steps">The micro-batches of each step that is left.</param>
    /// <param name="totalSteps">The steps of the whole run.</param>
    /// <param name="validate">The loss of the validation rows, or null.</param>
    /// <param name="report">Told of every step.</param>
    /// <param name="cancellationToken">Checked before every step.</param>
    public void Continue(
        TrainingState state, IEnumerable<IReadOnlyList<IReadOnlyList<SupervisedExample>>> steps, int totalSteps, Func<double>? validate,
        Action<SorsaTrainingProgress> report, CancellationToken cancellationToken)
    {
        LearningRateSchedule schedule = LearningRateSchedule.Of(settings.LearningRateDecay, totalSteps, settings.WarmupRatio);
        using var kept = new KeptMemory();
        long parameters = _trainable.Sum(named => named.Value.numel());
        var clock = Stopwatch.StartNew();
        int first = state.Step;
        long tokens = 0;
        if (first > 0)
        {
            // The checkpoint may be from before the analysis of its step.
            Analyze(state, isLast: first == totalSteps, cancellationToken);
        }

        foreach (IReadOnlyList<IReadOnlyList<SupervisedExample>> microBatches in steps)
        {
            if (state.Best.EvaluationsSince >= (settings.EarlyStoppingPatience ?? int.MaxValue))
            {
                break;
            }

            if (cancellationToken.IsCancellationRequested)
            {
                Checkpoints?.Write(state);
                cancellationToken.ThrowIfCancellationRequested();
            }

            double learningRate = settings.LearningRate * schedule.Factor(state.Step);
            (double loss, double norm, double? orthonormality) = Step(state, microBatches, learningRate);

            bool evaluates = validate is not null
                && (state.Step % (settings.EvaluationSteps ?? int.MaxValue) == 0 || state.Step == totalSteps);
            double? validationLoss = evaluates ? Validate(validate!) : null;
            if (!double.IsFinite((validationLoss ?? 0) + (orthonormality ?? 0)))
            {
                throw Diverged(state.Step,
                    string.Create(CultureInfo.InvariantCulture, $"the validation loss is {validationLoss}, ‖UᵀU − I‖ {orthonormality}"));
            }

            state.Losses.Add(loss);
            tokens += microBatches.Sum(rows => rows.Sum(example => (long)example.Ids.Length));
            report(new SorsaTrainingProgress
            {
                Step = state.Step,
                TotalSteps = totalSteps,
                TrainableParameters = parameters,
                Loss = loss,
                LearningRate = learningRate,
                GradientNorm = norm,
                Orthonormality = orthonormality,
                ValidationLoss = validationLoss,
                TokensPerSecond = tokens / clock.Elapsed.TotalSeconds,
                Remaining = clock.Elapsed / (state.Step - first) * (totalSteps - state.Step),
            });
            if (validationLoss is { } measured)
            {
                state.Evaluations.Add((state.Step, measured));
                state.Best.Add(measured);
            }

            LossWatch?.AfterStep(state.Losses);
            Analyze(state, isLast: state.Step == totalSteps, cancellationToken);
            Checkpoints?.AfterStep(state);
        }

        LossWatch?.AtEnd(state.Losses);
        Analyze(state, isLast: true, cancellationToken);
        Checkpoints?.Write(state);
        state.Best.Restore();
        model.train(false);
    }

    /// <summary>One optimizer step: Eq. (11).</summary>
    private (double Loss, double GradientNorm, double? Orthonormality) Step(
        TrainingState state, IReadOnlyList<IReadOnlyList<SupervisedExample>> microBatches, double learningRate)
    {
        model.train();
        double loss = Backward(microBatches);
        double? orthonormality = adapters.Penalty is { InLoss: true } inLoss ? _regularizer.AddGradient(inLoss.Weight) : null;
        double norm = GradientClipping.Norm(_trainable.Select(named => named.Value));
        RequireFinite(state.Step, loss, norm);
        GradientClipping.Clip(_trainable.Select(named => named.Value), norm, settings.MaxGradNorm ?? double.PositiveInfinity);
        if (adapters.Penalty is { InLoss: false } beside)
        {
            orthonormality = _regularizer.AddGradient(beside.Weight / settings.LearningRate);
        }

        state.Optimizer.Step(learningRate);
        adapters.AfterStep(state.Step);
        state.Optimizer.ZeroGrad();
        state.Step++;
        state.Optimizer.Prepare(state.Step);
        return (loss, norm, orthonormality);
    }

    /// <summary>Adds what the analysis finds to the state, unless it is there. What is cancelled goes on at the same step.</summary>
    private void Analyze(TrainingState state, bool isLast, CancellationToken cancellationToken)
    {
        if (Analysis is null || !Analysis.IsDue(state.Step, isLast) || state.Analysis.Any(row => row.Step == state.Step))
        {
            return;
        }

        try
        {
            Analysis.Measure(state.Step, state.Analysis, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            Checkpoints?.Write(state);
            throw;
        }
    }

    private double Validate(Func<double> validate)
    {
        using var noGrad = no_grad();
        using Tf32Products? products = Tf32Products.Where(settings.AllowTf32);
        adapters.WriteWeights();
        return validate();
    }

    /// <summary>Accumulates the gradient of the mean loss over the step's labels, and gives that mean.</summary>
    private double Backward(IReadOnlyList<IReadOnlyList<SupervisedExample>> microBatches)
    {
        using var scope = NewDisposeScope();

        // Forward and backward alone: the regularizer looks for deviations that are smaller than what TF32 rounds away.
        using Tf32Products? products = Tf32Products.Where(settings.AllowTf32);
        long labels = microBatches.Sum(rows => rows.Sum(example => (long)example.LabelCount));
        Tensor total = zeros([], ScalarType.Float64, model.Device);
        foreach (IReadOnlyList<SupervisedExample> rows in microBatches)
        {
            using var micro = NewDisposeScope();
            using Batch batch = Batch.Of(rows, settings.PadTokenId, model.Device);
            adapters.WriteWeights();
            if (adapters.Dropout is { } dropout)
            {
                dropout.Pass++;
            }

            Tensor mean = SupervisedLoss.Backward(model, batch, 1.0 / labels, settings.LogitsChunkSize);
            adapters.CollectGradients();
            total.Accumulate(mean);
        }

        return total.item<double>();
    }

    private void RequireFinite(int step, double loss, double norm)
    {
        if (double.IsFinite(loss) && double.IsFinite(norm))
        {
            return;
        }

        using var scope = NewDisposeScope();
        KeyValuePair<string, Tensor> broken = model.NamedWeights.FirstOrDefault(named => !IsFinite(named.Value));
        if (step == 0 && broken is { Key: { } frozen, Value.requires_grad: false })
        {
            // Before the first update: nothing was trained yet.
            throw new ArithmeticException(string.Create(CultureInfo.InvariantCulture,
                $"Training ended at step {step + 1}: the loss is {loss}, the gradient's norm {norm}; '{frozen}' holds such a value ")
                + "itself, and it is not trained: the model's files are damaged. Nothing was saved. Fetch them again.");
        }

        string matrix = broken.Key is { } weight
            ? $"'{weight}' holds such a value itself"
            : _trainable.FirstOrDefault(named => named.Value.grad is { } gradient && !IsFinite(gradient)).Key is { } first
                ? $"the gradient of '{first}' is the first that is not finite"
                : "every single gradient is finite, but their norm is not";
        throw Diverged(step + 1, string.Create(CultureInfo.InvariantCulture, $"the loss is {loss}, the gradient's norm {norm}; {matrix}"));

        static bool IsFinite(Tensor tensor) => tensor.isfinite().all().item<bool>();
    }

    private ArithmeticException Diverged(int step, string what) => new(string.Create(CultureInfo.InvariantCulture,
        $"Training diverged at step {step}: {what}. Nothing was saved. Lower LearningRate (now {settings.LearningRate}) or Gamma "
        + $"(now {adapters.Penalty?.Weight ?? 0}), raise WarmupRatio (now {settings.WarmupRatio}), or look for broken rows in the data."));
}
