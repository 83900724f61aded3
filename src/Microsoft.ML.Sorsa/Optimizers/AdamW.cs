using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Optimizers;

/// <summary>AdamW over everything that trains: what a method has that says nothing of its own.</summary>
internal sealed class AdamW : IOptimizer
{
    private readonly AdamWKernel _kernel;
    private readonly AdamWSettings _settings;
    private readonly string[] _names;
    private readonly Parameter[] _parameters;
    private readonly Tensor[] _firstMoments;
    private readonly Tensor[] _secondMoments;
    private readonly Tensor _step;
    private readonly Tensor[] _steps;

    /// <param name="trained">What is updated, by name; one at least; not owned.</param>
    /// <param name="settings">β₁, β₂, ε and the weight decay.</param>
    public AdamW(IReadOnlyList<KeyValuePair<string, Parameter>> trained, AdamWSettings settings)
    {
        _kernel = new AdamWKernel(settings.Beta1, settings.Beta2);
        _settings = settings;
        _names = [.. trained.Select(named => named.Key)];
        _parameters = [.. trained.Select(named => named.Value)];
        _firstMoments = [.. _parameters.Select(Zeros)];
        _secondMoments = [.. _parameters.Select(Zeros)];
        _step = zeros([], ScalarType.Float32, _parameters[0].device).DetachFromDisposeScope();
        _steps = [.. Enumerable.Repeat(_step, _parameters.Length)];

        static Tensor Zeros(Parameter parameter) => zeros(parameter.shape, parameter.dtype, parameter.device).DetachFromDisposeScope();
    }

    /// <summary>m and v of every tensor, as PyTorch calls them, and the count of steps.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
    [
        .. _names.Select((name, i) => KeyValuePair.Create($"exp_avg.{name}", _firstMoments[i])),
        .. _names.Select((name, i) => KeyValuePair.Create($"exp_avg_sq.{name}", _secondMoments[i])),
        KeyValuePair.Create("step", _step),
    ];

    /// <summary>Every step is like the others.</summary>
    public void Prepare(int step)
    {
    }

    public void Step(double learningRate)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();

        // All tensors share the count of steps, and the kernel reads it without raising it.
        _step.Shift(1.0);
        Tensor[] gradients = [.. _parameters.Select(parameter =>
            parameter.grad ?? throw new InvalidOperationException("A trained tensor has no gradient: call backward first."))];
        _kernel.Update(
            _parameters, gradients, _firstMoments, _secondMoments, _steps, learningRate, _settings.Epsilon, _settings.WeightDecay);
    }

    public void ZeroGrad()
    {
        foreach (Parameter parameter in _parameters)
        {
            parameter.grad = null;
        }
    }

    public void Dispose()
    {
        ZeroGrad();
        foreach (Tensor tensor in _firstMoments.Concat(_secondMoments).Append(_step))
        {
            tensor.Dispose();
        }

        _kernel.Dispose();
    }
}
