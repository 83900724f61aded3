using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Optimizers;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.GaLore;

/// <summary>
/// GaLore's AdamW (arXiv 2403.03507, Algorithm 2; the details are those of the authors' code, golden/galore): the gradients of the
/// projected matrices, as they were clipped, go through their projectors, moments live in the projected space, and the update comes back
/// times α. Everything else is updated plainly. Weight decay comes after the step: p ← p − η λ p, with the moved p; and ε is added to √v
/// before the bias is corrected.
/// </summary>
internal sealed class GaLoreAdamW : IOptimizer
{
    private readonly AdamWKernel _kernel;
    private readonly AdamWSettings _settings;
    private readonly GradientProjection _projection;
    private readonly ProjectedMatrix[] _projected;
    private readonly KeyValuePair<string, Parameter>[] _rest;
    private readonly Tensor[] _firstMoments;
    private readonly Tensor[] _secondMoments;
    private readonly Tensor _steps;
    private readonly long _seed;
    private int _step;

    /// <param name="projected">The matrices whose gradients are projected, by name; one at least; not owned.</param>
    /// <param name="rest">What else trains, by name; not owned.</param>
    /// <param name="settings">β₁, β₂, ε and the weight decay.</param>
    /// <param name="projection">T and α.</param>
    /// <param name="rank">r.</param>
    /// <param name="seed">What decides every bit of a randomised decomposition, together with the step.</param>
    public GaLoreAdamW(
        IReadOnlyList<KeyValuePair<string, Parameter>> projected, IReadOnlyList<KeyValuePair<string, Parameter>> rest,
        AdamWSettings settings, GradientProjection projection, int rank, long seed)
    {
        (_settings, _projection, _seed) = (settings, projection, seed);
        _kernel = new AdamWKernel(settings.Beta1, settings.Beta2);
        _projected = [.. projected.Select(named => new ProjectedMatrix(named.Key, named.Value, rank))];
        _rest = [.. rest];
        _firstMoments = [.. _rest.Select(named => Zeros(named.Value))];
        _secondMoments = [.. _rest.Select(named => Zeros(named.Value))];
        _steps = zeros([], ScalarType.Float32, projected[0].Value.device).DetachFromDisposeScope();

        static Tensor Zeros(Parameter parameter) => zeros(parameter.shape, parameter.dtype, parameter.device).DetachFromDisposeScope();
    }

    /// <summary>As AdamW's; of a projected matrix the moments are those of its projected gradient, and it has a projector.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
    [
        .. _projected.SelectMany(matrix => matrix.State),
        .. _rest.Select((named, i) => KeyValuePair.Create($"exp_avg.{named.Key}", _firstMoments[i])),
        .. _rest.Select((named, i) => KeyValuePair.Create($"exp_avg_sq.{named.Key}", _secondMoments[i])),
        KeyValuePair.Create("step", _steps),
    ];

    /// <summary>Every T steps the projectors are made anew.</summary>
    public void Prepare(int step) => _step = step;

    public void Step(double learningRate)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        _steps.Shift(1.0);

        // √v / √(1 − β₂ᵗ) + ε' is (√v + ε) / √(1 − β₂ᵗ).
        double epsilon = _settings.Epsilon / Math.Sqrt(1 - Math.Pow(_settings.Beta2, _step + 1));
        if (_rest.Length > 0)
        {
            Tensor[] parameters = [.. _rest.Select(named => named.Value)];
            Update(parameters, [.. _rest.Select(named => Gradient(named.Value))], _firstMoments, _secondMoments);
        }

        if (_step % _projection.UpdateSteps == 0)
        {
            using var generator = new Generator(SplitMix64.Mix(SplitMix64.Mix(unchecked((ulong)_seed)) + (ulong)_step));
            foreach (ProjectedMatrix matrix in _projected)
            {
                using var one = NewDisposeScope();
                matrix.TakeProjector(Gradient(matrix.Weight), generator);
            }
        }

        foreach (ProjectedMatrix matrix in _projected)
        {
            using var one = NewDisposeScope();
            Tensor update = zeros_like(matrix.FirstMoment);
            Update([update], [matrix.Project(Gradient(matrix.Weight))], [matrix.FirstMoment], [matrix.SecondMoment]);
            matrix.AddBack(update.Scale(_projection.Scale));
        }

        if (_settings.WeightDecay > 0)
        {
            foreach (Parameter parameter in Parameters)
            {
                parameter.Scale(1 - (learningRate * _settings.WeightDecay));
            }
        }

        void Update(Tensor[] parameters, Tensor[] gradients, Tensor[] firstMoments, Tensor[] secondMoments) => _kernel.Update(
            parameters, gradients, firstMoments, secondMoments, [.. Enumerable.Repeat(_steps, parameters.Length)], learningRate, epsilon,
            weightDecay: 0);
    }

    public void ZeroGrad()
    {
        foreach (Parameter parameter in Parameters)
        {
            parameter.grad = null;
        }
    }

    public void Dispose()
    {
        ZeroGrad();
        foreach ((_, Tensor tensor) in State)
        {
            tensor.Dispose();
        }

        _kernel.Dispose();
    }

    private IEnumerable<Parameter> Parameters => [.. _projected.Select(matrix => matrix.Weight), .. _rest.Select(named => named.Value)];

    private static Tensor Gradient(Parameter parameter) =>
        parameter.grad ?? throw new InvalidOperationException("A trained tensor has no gradient: call backward first.");

    /// <summary>A matrix W [out, in], the projector of its gradient, and the moments of what comes through that.</summary>
    private sealed class ProjectedMatrix
    {
        private readonly string _name;
        private readonly bool _onTheRight;
        private readonly Tensor _projector;
        private readonly int _rank;

        public ProjectedMatrix(string name, Parameter weight, int rank)
        {
            (_name, Weight) = (name, weight);
            (long rows, long columns) = (weight.shape[0], weight.shape[1]);
            _onTheRight = rows >= columns;
            _rank = (int)Math.Min(rank, Math.Min(rows, columns));
            _projector = Zeros(_onTheRight ? [_rank, columns] : [rows, _rank]);
            long[] projected = _onTheRight ? [rows, _rank] : [_rank, columns];
            (FirstMoment, SecondMoment) = (Zeros(projected), Zeros(projected));

            Tensor Zeros(long[] shape) => zeros(shape, weight.dtype, weight.device).DetachFromDisposeScope();
        }

        public Parameter Weight { get; }

        public Tensor FirstMoment { get; }

        public Tensor SecondMoment { get; }

        public IEnumerable<KeyValuePair<string, Tensor>> State =>
        [
            KeyValuePair.Create($"exp_avg.{_name}", FirstMoment),
            KeyValuePair.Create($"exp_avg_sq.{_name}", SecondMoment),
            KeyValuePair.Create($"projector.{_name}", _projector),
        ];

        /// <summary>Of a large matrix by the randomised decomposition, which is some ten times faster.</summary>
        public void TakeProjector(Tensor gradient, Generator generator)
        {
            if (!TruncatedSvd.IsRandomizedCheaper(gradient.shape.Min(), _rank))
            {
                _projector.copy_(GesddVectors.OfSmallerSide(gradient, _rank));
                return;
            }

            (Tensor u, _, Tensor vt) = TruncatedSvd.Randomized(gradient, _rank, generator);
            _projector.copy_(_onTheRight ? vt : u);
        }

        public Tensor Project(Tensor gradient) => _onTheRight ? gradient.mm(_projector.t()) : _projector.t().mm(gradient);

        public void AddBack(Tensor update) => _ = _onTheRight ? Weight.addmm_(update, _projector) : Weight.addmm_(_projector, update);
    }
}
