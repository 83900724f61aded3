using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Interop;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// Adapters on a module of the user's, for a training loop of the user's own: any module with linear layers. The module's own tensors are
/// written in place; nothing of it is replaced.
/// <code>
/// using var adapters = SorsaAdapters.Attach(module, new SorsaAdapterOptions { Rank = 8 });
/// var optimizer = torch.optim.AdamW(adapters.Parameters, lr);
/// for each batch:
///     optimizer.zero_grad();
///     using Tensor loss = adapters.Backward(() => criterion(module.forward(x), y));
///     adapters.AddPenaltyGradient(lr);      // behind any clipping
///     optimizer.step();
///     adapters.AfterStep();
/// adapters.Merge();
/// </code>
/// </summary>
/// <remarks>
/// Not for several threads. Until it is merged or disposed, nothing else may train the module, and its tensors take no gradient outside of
/// <see cref="Backward"/>.
/// </remarks>
public sealed class SorsaAdapters : IDisposable
{
    private readonly FrozenModule _frozen;
    private readonly TensorPlaces _places;
    private readonly CacheFields _caches;
    private readonly AdapterSet _adapters;
    private readonly ScalarType _type;
    private readonly OrthonormalityRegularizer _regularizer;
    private int _step;
    private bool _done;

    private SorsaAdapters(nn.Module module, IReadOnlyList<TargetWeight> targets, Func<MethodRun, AdapterMethod> create, int seed)
    {
        using var start = new Generator(unchecked((ulong)seed));
        _type = TensorTarget.CommonType(targets.Select(target => target.Weight));
        _places = new TensorPlaces(module);
        _caches = new CacheFields(module);
        _frozen = new FrozenModule(module);
        try
        {
            AdapterMethod method = create(new MethodRun(int.MaxValue, start, Decomposition.Drawn(start), seed));
            _adapters = AdapterSet.Inject(targets.Select(target => new TensorTarget(target.Path, target.Weight)), method);
        }
        catch
        {
            _frozen.Dispose();
            throw;
        }

        Parameters = [.. _adapters.Trainable.Select(named => named.Value)];
        _regularizer = new OrthonormalityRegularizer(_adapters.OrthonormalFactors, _adapters.Penalty?.Mean ?? true);
    }

    /// <summary>What trains, in float32 or wider: for the optimizer.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>Puts adapters on a module. At the start it computes what it did.</summary>
    /// <param name="module">The module, on its device and in its type already; it stays the caller's.</param>
    /// <param name="options">What to train.</param>
    /// <exception cref="ArgumentException">
    /// An option is outside its range; no module has a name of TargetModules; a rank is above what a target allows.
    /// </exception>
    /// <exception cref="NotSupportedException">The module is quantised, or its layers move in forward.</exception>
    public static SorsaAdapters Attach(nn.Module module, SorsaAdapterOptions options)
    {
        ArgumentNullException.ThrowIfNull(module);
        ArgumentNullException.ThrowIfNull(options);
        (MethodDescriptor method, MethodSettings settings) = options.ToSettings();
        IReadOnlyList<TargetWeight> targets = TargetWeight.Find(module, options.TargetModules);
        foreach (TargetWeight target in targets)
        {
            AdapterSet.VerifyRank(target.Path, target.Weight.shape, method.RequiredRank(settings));
        }

        return new SorsaAdapters(module, targets, run => method.Create(settings, run), options.Seed);
    }

    /// <summary>Computes a loss with the adapters' present values and adds its gradient to that of <see cref="Parameters"/>.</summary>
    /// <param name="loss">Calls the module and gives a number that has a gradient. Micro-batches are several calls before one step.</param>
    /// <returns>The loss, without a gradient; the caller owns it.</returns>
    /// <exception cref="NotSupportedException">
    /// The module's forward puts other tensors in the place of its own, or it was moved or cast since <see cref="Attach"/>.
    /// </exception>
    public Tensor Backward(Func<Tensor> loss)
    {
        ArgumentNullException.ThrowIfNull(loss);
        RequireOpen();
        using var scope = NewDisposeScope();
        _places.Verify();
        _adapters.WriteWeights();

        // A cache that the module keeps from the call before holds another text, and its gradient is gone.
        _caches.Clear();
        Tensor value = loss();
        _places.Verify();
        value.backward();
        _adapters.CollectGradients();
        return scope.MoveToOuter(value.detach());
    }

    /// <summary>
    /// Adds γ / η · ∇L_reg to the gradients, as in Eq. (11): after <see cref="Backward"/> and any clipping, before the optimizer's step.
    /// </summary>
    /// <param name="learningRate">η, the peak learning rate; above 0.</param>
    /// <returns>L_reg before the step; 0 for methods without a penalty.</returns>
    public double AddPenaltyGradient(double learningRate)
    {
        RequireOpen();
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(learningRate);
        return _adapters.Penalty is { } penalty ? _regularizer.AddGradient(penalty.Weight / learningRate) : 0;
    }

    /// <summary>
    /// What the method does behind the optimizer's step: with HardOrthonormality, U and V become orthonormal; otherwise nothing.
    /// </summary>
    public void AfterStep()
    {
        RequireOpen();
        _adapters.AfterStep(_step++);
    }

    /// <summary>Makes the module compute with the adapters' present values, to evaluate it between steps.</summary>
    public void Synchronize()
    {
        RequireOpen();
        using var noGrad = no_grad();
        _adapters.WriteWeights();
        _caches.Clear();
    }

    /// <summary>Writes the adapted weights into the module for good, in its own type. Nothing else can be called afterwards.</summary>
    /// <returns>What that did to each matrix.</returns>
    public MergeReport Merge()
    {
        RequireOpen();
        MergeReport report = MergeReport.Of(_adapters, _type);
        _adapters.Merge(_type);
        Finish();
        return report;
    }

    /// <summary>Without <see cref="Merge"/>, puts the module's weights back as they were.</summary>
    public void Dispose()
    {
        if (!_done)
        {
            _adapters.Discard();
            Finish();
        }
    }

    private void Finish()
    {
        _done = true;
        _frozen.Dispose();
    }

    private void RequireOpen() => ObjectDisposedException.ThrowIf(_done, this);
}
