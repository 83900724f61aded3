using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Optimizers;

/// <summary>What AdamW is told. The trainer's Options say what each of them means.</summary>
/// <param name="Beta1">β₁.</param>
/// <param name="Beta2">β₂.</param>
/// <param name="Epsilon">ε.</param>
/// <param name="WeightDecay">Decoupled: p loses η_t · weight decay · p.</param>
internal sealed record AdamWSettings(double Beta1, double Beta2, double Epsilon, double WeightDecay);

/// <summary>
/// The arithmetic of AdamW (Loshchilov and Hutter, arXiv 1711.05101). One call of libtorch's fused kernel updates all tensors; TorchSharp's
/// own optimizer makes a dozen calls for each of them and takes seven to nine times as long.
/// </summary>
internal sealed class AdamWKernel(double beta1, double beta2) : IDisposable
{
    private const string Program = """
        def step(parameters: List[Tensor], gradients: List[Tensor], m: List[Tensor], v: List[Tensor], steps: List[Tensor],
                 learning_rate: float, beta1: float, beta2: float, epsilon: float, weight_decay: float):
            torch._fused_adamw_(parameters, gradients, m, v, [], steps, lr=learning_rate, beta1=beta1, beta2=beta2,
                                weight_decay=weight_decay, eps=epsilon, amsgrad=False, maximize=False)
            return steps[0]

        """;

    private readonly TensorScript _kernel = new(Program);

    // Scalars, not numbers: see ScalarArithmetic.
    private readonly Scalar _beta1 = beta1;
    private readonly Scalar _beta2 = beta2;

    /// <summary>p ← p (1 − η λ) − η m̂ / (√v̂ + ε), in place, once m and v have taken the gradients in.</summary>
    /// <param name="parameters">p.</param>
    /// <param name="gradients">Of the same shapes.</param>
    /// <param name="firstMoments">m.</param>
    /// <param name="secondMoments">v.</param>
    /// <param name="steps">A number for each of them: how many gradients m and v have taken in, this one included.</param>
    /// <param name="learningRate">η.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="weightDecay">λ.</param>
    public void Update(
        Tensor[] parameters, Tensor[] gradients, Tensor[] firstMoments, Tensor[] secondMoments, Tensor[] steps, double learningRate,
        double epsilon, double weightDecay)
    {
        using Scalar rate = learningRate;
        using Scalar floor = epsilon;
        using Scalar decay = weightDecay;

        // On a GPU one call takes tensors of one type: norms may train in another than projections.
        foreach (int[] group in Enumerable.Range(0, parameters.Length).GroupBy(i => parameters[i].dtype).Select(group => group.ToArray()))
        {
            using Tensor _ = _kernel.Call(
                "step", Of(parameters), Of(gradients), Of(firstMoments), Of(secondMoments), Of(steps), rate, _beta1, _beta2, floor, decay);

            Tensor[] Of(Tensor[] all) => [.. group.Select(i => all[i])];
        }
    }

    public void Dispose()
    {
        _beta1.Dispose();
        _beta2.Dispose();
        _kernel.Dispose();
    }
}
