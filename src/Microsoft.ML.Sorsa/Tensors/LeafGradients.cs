using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// Gradients that end at what trains. libtorch would copy each: TorchSharp holds a second reference to what a function in C# gave, and it
/// may only keep what nobody else has. So they are put, or added, where they belong before libtorch sees them.
/// </summary>
internal static class LeafGradients
{
    /// <summary>
    /// Puts the gradients of trained inputs into their Grad, and gives what is left for libtorch; null where it was taken. What does not
    /// fit its input is left, too: libtorch converts it, or says what is wrong.
    /// </summary>
    /// <param name="gradients">Of the inputs; owned by nobody else. Those that are taken are disposed.</param>
    /// <param name="inputs">What trains, at its place among the inputs; null for others.</param>
    public static List<Tensor?> Taken(List<Tensor?> gradients, IReadOnlyList<Parameter?> inputs)
    {
        using var scope = NewDisposeScope();
        for (int i = 0; i < gradients.Count; i++)
        {
            if (gradients[i] is { } gradient && inputs[i] is { requires_grad: true } parameter && IsOf(parameter, gradient))
            {
                Take(parameter, gradient);
                gradient.Dispose();
                gradients[i] = null;
            }
        }

        return gradients;
    }

    private static void Take(Parameter parameter, Tensor gradient)
    {
        if (parameter.grad is { } sum)
        {
            sum.Accumulate(gradient);
        }
        else
        {
            parameter.grad = gradient;
        }
    }

    /// <summary>Of one type, shape and order in memory, as an optimizer reads both.</summary>
    private static bool IsOf(Parameter parameter, Tensor gradient) =>
        gradient.dtype == parameter.dtype && gradient.device_type == parameter.device_type
        && gradient.is_contiguous() && parameter.is_contiguous()
        && TensorData.Shape(gradient).AsSpan().SequenceEqual(TensorData.Shape(parameter));
}
