using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// AdamW (Loshchilov and Hutter, arXiv 1711.05101). One call of libtorch's fused kernel updates all tensors; TorchSharp's own
/// optimizer makes a dozen calls for each of them and takes seven to nine times as long.
/// </summary>
internal sealed class AdamW : IOptimizer
{
    private const string Program = """
        def step(parameters: List[Tensor], gradients: List[Tensor], m: List[Tensor], v: List[Tensor], steps: List[Tensor],
                 learning_rate: float, beta1: float, beta2: float, epsilon: float, weight_decay: float):
            torch._fused_adamw_(parameters, gradients, m, v, [], steps, lr=learning_rate, beta1=beta1, beta2=beta2,
                                weight_decay=weight_decay, eps=epsilon, amsgrad=False, maximize=False)
            return steps[0]

        """;

    private readonly jit.CompilationUnit _kernel = jit.compile(Program);
    private readonly string[] _names;
    private readonly Parameter[] _parameters;
    private readonly Tensor[] _firstMoments;
    private readonly Tensor[] _secondMoments;
    private readonly Tensor _step;
    private readonly Tensor[] _steps;

    // Scalars, not numbers: see ScalarArithmetic.
    private readonly Scalar _beta1;
    private readonly Scalar _beta2;
    private readonly Scalar _epsilon;
    private readonly Scalar _weightDecay;

    /// <param name="trained">What is updated, by name; not owned.</param>
    /// <param name="settings">β₁, β₂, ε and the weight decay.</param>
    public AdamW(IReadOnlyList<KeyValuePair<string, Parameter>> trained, TrainingSettings settings)
    {
        _names = [.. trained.Select(named => named.Key)];
        _parameters = [.. trained.Select(named => named.Value)];
        _beta1 = settings.AdamBeta1;
        _beta2 = settings.AdamBeta2;
        _epsilon = settings.AdamEpsilon;
        _weightDecay = settings.WeightDecay;
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

    public void Step(double learningRate)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();

        // All tensors share the count of steps, and the kernel reads it without raising it.
        _step.Shift(1.0);
        Tensor[] gradients = [.. _parameters.Select(parameter =>
            parameter.grad ?? throw new InvalidOperationException("A trained tensor has no gradient: call backward first."))];
        using Scalar rate = learningRate;
        _kernel.invoke(
            "step", _parameters, gradients, _firstMoments, _secondMoments, _steps,
            rate, _beta1, _beta2, _epsilon, _weightDecay);
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

        foreach (Scalar scalar in new[] { _beta1, _beta2, _epsilon, _weightDecay })
        {
            scalar.Dispose();
        }

        _kernel.Dispose();
    }
}
