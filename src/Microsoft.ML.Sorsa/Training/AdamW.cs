using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// AdamW (Loshchilov and Hutter, arXiv 1711.05101). One call of libtorch's fused kernel updates all tensors; TorchSharp's own
/// optimizer makes a dozen calls for each of them and takes seven to nine times as long.
/// </summary>
internal sealed class AdamW : IDisposable
{
    private const string Program = """
        def step(parameters: List[Tensor], gradients: List[Tensor], m: List[Tensor], v: List[Tensor], steps: List[Tensor],
                 learning_rate: float, beta1: float, beta2: float, epsilon: float, weight_decay: float):
            torch._fused_adamw_(parameters, gradients, m, v, [], steps, lr=learning_rate, beta1=beta1, beta2=beta2,
                                weight_decay=weight_decay, eps=epsilon, amsgrad=False, maximize=False)
            return steps[0]

        """;

    private readonly jit.CompilationUnit _kernel = jit.compile(Program);
    private readonly Parameter[] _parameters;
    private readonly Tensor[] _firstMoments;
    private readonly Tensor[] _secondMoments;
    private readonly Tensor _step;
    private readonly Tensor[] _steps;
    private readonly TrainingOptions _options;

    public AdamW(IEnumerable<Parameter> parameters, TrainingOptions options)
    {
        _parameters = [.. parameters];
        _options = options;
        _firstMoments = [.. _parameters.Select(Zeros)];
        _secondMoments = [.. _parameters.Select(Zeros)];
        _step = zeros([], ScalarType.Float32, _parameters[0].device).DetachFromDisposeScope();
        _steps = [.. Enumerable.Repeat(_step, _parameters.Length)];

        static Tensor Zeros(Parameter parameter) => zeros(parameter.shape, parameter.dtype, parameter.device).DetachFromDisposeScope();
    }

    /// <summary>One update with the gradients that are set.</summary>
    public void Step(double learningRate)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();

        // All tensors share the count of steps, and the kernel reads it without raising it.
        _step.add_(1);
        Tensor[] gradients = [.. _parameters.Select(parameter => parameter.grad ?? throw new InvalidOperationException("A trained tensor has no gradient: call backward first."))];

        // Numbers as scalars of our own: of a plain double TorchSharp makes one that nothing refers to, and the collector may free it
        // before the call has read it.
        using Scalar rate = learningRate;
        using Scalar beta1 = _options.AdamBeta1;
        using Scalar beta2 = _options.AdamBeta2;
        using Scalar epsilon = _options.AdamEpsilon;
        using Scalar weightDecay = _options.WeightDecay;
        _kernel.invoke("step", _parameters, gradients, _firstMoments, _secondMoments, _steps, rate, beta1, beta2, epsilon, weightDecay);
    }

    /// <summary>Drops the gradients; the next backward makes its own.</summary>
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
