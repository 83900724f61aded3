using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// Gradients that end at what trains. libtorch would copy the first of each: TorchSharp holds a second reference to what a function in C#
/// gave, and libtorch only keeps what nobody else has. So they are put, or added, where they belong before libtorch sees them.
/// </summary>
internal static class LeafGradients
{
    /// <summary>
    /// Adds the gradients of trained inputs to what these have, and gives those that are left for libtorch, null where there is none. What
    /// does not fit its input is left: libtorch converts it, or says what is wrong.
    /// </summary>
    /// <param name="gradients">Of the inputs; they stay with the dispose scope that is open.</param>
    /// <param name="inputs">What trains, at its place among the inputs; null for others.</param>
    public static List<Tensor?> Accumulate(List<Tensor?> gradients, IReadOnlyList<Parameter?> inputs) => [.. gradients.Zip(inputs, Left)];

    private static Tensor? Left(Tensor? gradient, Parameter? input)
    {
        if (gradient is null || input is not { requires_grad: true } || !Fits(gradient, input))
        {
            return gradient;
        }

        if (input.grad is { } sum)
        {
            sum.Accumulate(gradient);
        }
        else
        {
            input.grad = gradient;
        }

        return null;
    }

    /// <summary>Of one type, shape and order in memory, as an optimizer reads both.</summary>
    private static bool Fits(Tensor gradient, Parameter parameter) =>
        gradient.dtype == parameter.dtype && gradient.device_type == parameter.device_type
        && gradient.is_contiguous() && parameter.is_contiguous()
        && TensorData.Shape(gradient).AsSpan().SequenceEqual(TensorData.Shape(parameter));
}
