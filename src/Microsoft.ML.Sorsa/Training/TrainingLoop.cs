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

    /// <summary>The processes that train together.</summary>
    public TrainingGroup Group { get; init; } = TrainingGroup.Alone;

    /// <summary>Whether the process is told to end; null: that ends it at once.</summary>
    public EndRequest? EndRequest { get; init; }

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

            EndWhereAsked(state, cancellationToken);

            double learningRate = settings.LearningRate * schedule.Factor(state.Step);
            (double loss, double norm, double? orthonormality) = Step(state, microBatches, learningRate);

            bool evaluates = validate is not null
                && (state.Step % (settings.EvaluationSteps ?? int.MaxValue) == 0 || state.Step == totalSteps);
            double? validationLoss = evaluates ? Validate(validate!) : null;
            if (!double.IsFinite((validationLoss ?? 0) + (orthonormality ?? 0)))
            {
                Group.Agreement.Part();
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
        Group.Send(state.Trained.Select(named => named.Value));
        Analyze(state, isLast: true, cancellationToken);
        Checkpoints?.Write(state);

        // The training is whole: it is not cancelled any more.
        EndWhereAsked(state, CancellationToken.None);
        state.Best.Restore();
        model.train(false);
    }

    /// <summary>
    /// Between two steps: writes where somebody was told to end, which then happens; and ends everybody's training where one is cancelled.
    /// </summary>
    private void EndWhereAsked(TrainingState state, CancellationToken cancellationToken)
    {
        (bool isCancelled, bool isAsked) = Group.Any(cancellationToken.IsCancellationRequested, EndRequest?.IsAsked ?? false);
        if (!isCancelled && !isAsked)
        {
            return;
        }

        if (isCancelled)
        {
            Group.Agreement.Part();
        }

        Checkpoints?.Write(state);
        cancellationToken.ThrowIfCancellationRequested();
        if (isCancelled)
        {
            throw new OperationCanceledException("Another rank's training was cancelled.");
        }

        // Whoever ends first takes the others with it.
        Group.Wait();
        EndRequest?.Answer();
    }

    /// <summary>One optimizer step: Eq. (11).</summary>
    private (double Loss, double GradientNorm, double? Orthonormality) Step(
        TrainingState state, IReadOnlyList<IReadOnlyList<SupervisedExample>> microBatches, double learningRate)
    {
        using var scope = NewDisposeScope();
        model.train();
        Tensor total = Backward(microBatches);
        OrthonormalityRegularizer.Deviations? deviations = adapters.Penalty is null ? null : _regularizer.Look();
        if (adapters.Penalty is { InLoss: true } inLoss)
        {
            deviations!.AddGradient(inLoss.Weight);
        }

        // The one time in a step that the host waits for the device.
        Tensor length = GradientClipping.Norm(_trainable.Select(named => named.Value));
        double[] numbers = TensorValues.Read(total, length, deviations?.Value ?? total);
        (double loss, double norm, double? orthonormality) = (numbers[0], numbers[1], deviations is null ? null : numbers[2]);
        RequireFinite(state.Step, loss, norm);
        GradientClipping.Clip(_trainable.Select(named => named.Value), norm, settings.MaxGradNorm ?? double.PositiveInfinity);
        if (adapters.Penalty is { InLoss: false } beside)
        {
            deviations!.AddGradient(beside.Weight / settings.LearningRate);
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

        // The others are behind it already: they hear of it between two steps.
        cancellationToken = Group.IsAlone ? cancellationToken : default;

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

        // The same already, but where the ranks' processors round otherwise.
        Group.Send(_trainable.Select(named => named.Value));
        using Tf32Products? products = Tf32Products.Where(settings.AllowTf32);
        adapters.WriteWeights();
        return validate();
    }

    /// <summary>
    /// Accumulates the gradient of the mean loss over the step's labels, and gives that mean, on the device; it belongs to the dispose
    /// scope that is open. Each rank adds its rows', divided by the labels of all.
    /// </summary>
    private Tensor Backward(IReadOnlyList<IReadOnlyList<SupervisedExample>> microBatches)
    {
        using var scope = NewDisposeScope();

        // Forward and backward alone: the regularizer looks for deviations that are smaller than what TF32 rounds away.
        using Tf32Products? products = Tf32Products.Where(settings.AllowTf32);
        long labels = microBatches.Sum(rows => rows.Sum(example => (long)example.LabelCount));
        Tensor total = zeros([], ScalarType.Float64, model.Device);
        foreach (IReadOnlyList<SupervisedExample> rows in microBatches)
        {
            // Every rank has masks of its own.
            long pass = adapters.Dropout?.Pass ?? 0;
            adapters.Dropout?.Pass = pass + 1 + Group.Rank;
            if (Group.Share(rows) is { Count: > 0 } share)
            {
                using var micro = NewDisposeScope();
                using Batch batch = Batch.Of(share, settings.PadTokenId, model.Device);
                adapters.WriteWeights();
                Tensor mean = SupervisedLoss.Backward(model, batch, 1.0 / labels, settings.LogitsChunkSize);
                adapters.CollectGradients();
                total.Accumulate(mean);
            }

            adapters.Dropout?.Pass = pass + Group.Count;
        }

        Group.SumGradients(_trainable.Select(named => named.Value));
        return scope.MoveToOuter(Group.Sum(total));
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
            Group.Agreement.Part();
            throw new ArithmeticException(string.Create(CultureInfo.InvariantCulture,
                $"Training ended at step {step + 1}: the loss is {loss}, the gradient's norm {norm}; '{frozen}' holds such a value ")
                + "itself, and it is not trained: the model's files are damaged. Nothing was saved. Fetch them again.");
        }

        string matrix = broken.Key is { } weight
            ? $"'{weight}' holds such a value itself"
            : _trainable.FirstOrDefault(named => named.Value.grad is { } gradient && !IsFinite(gradient)).Key is { } first
                ? $"the gradient of '{first}' is the first that is not finite"
                : "every single gradient is finite, but their norm is not";
        Group.Agreement.Part();
        throw Diverged(step + 1, string.Create(CultureInfo.InvariantCulture, $"the loss is {loss}, the gradient's norm {norm}; {matrix}"));

        static bool IsFinite(Tensor tensor) => tensor.isfinite().all().item<bool>();
    }

    private ArithmeticException Diverged(int step, string what) => new(string.Create(CultureInfo.InvariantCulture,
        $"Training diverged at step {step}: {what}. Nothing was saved. Lower LearningRate (now {settings.LearningRate}) or Gamma "
        + $"(now {adapters.Penalty?.Weight ?? 0}), raise WarmupRatio (now {settings.WarmupRatio}), or look for broken rows in the data."));
}
