using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>Whether a weight is one that a model can compute with: looked at where adapters are made, and where they are merged.</summary>
internal static class WeightVerification
{
    /// <summary>A row whose largest value is this share of the matrix's largest one, or less, is next to zero.</summary>
    private const double NextToZero = 1e-6;

    /// <exception cref="ArithmeticException">A value is not finite.</exception>
    public static void RequireFinite(Tensor weight, string name, string remedy)
    {
        if (!TensorValues.AreFinite(weight))
        {
            throw new ArithmeticException($"The weight of '{name}' holds values that are not finite. {remedy}");
        }
    }

    /// <summary>
    /// Refuses what training that diverged leaves behind, whatever the method. Not every method ends in values that are not finite: DoRA
    /// divides by a row's norm, and where that is infinite the row is zero.
    /// </summary>
    /// <param name="weight">After training, in at least float32; a matrix, or a vector, which is one row.</param>
    /// <param name="initial">The same before it; asked for where a row is zero.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="remedy">What to do.</param>
    /// <exception cref="ArithmeticException">Its norm is infinite, or a row became zero.</exception>
    public static void RequireAlive(Tensor weight, Func<Tensor> initial, string name, string remedy)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        if (weight.numel() == 0)
        {
            return;
        }

        if (!double.IsFinite(Number(weight.norm())))
        {
            throw new ArithmeticException($"The weight of '{name}' became too large: its norm is not finite. {remedy}");
        }

        Tensor dead = Peaks(weight).logical_not();
        if (!dead.any().item<bool>())
        {
            return;
        }

        Tensor before = Peaks(initial());
        long rows = dead.logical_and_(before.gt(before.max().Times(NextToZero))).sum().item<long>();
        if (rows > 0)
        {
            throw new ArithmeticException($"{rows} of the {weight.shape[0]} rows of the weight of '{name}' became zero. {remedy}");
        }
    }

    /// <summary>The largest magnitude of every row, [rows].</summary>
    private static Tensor Peaks(Tensor weight)
    {
        (Tensor smallest, Tensor largest) = (weight.dim() == 1 ? weight.unsqueeze(0) : weight).aminmax(1);
        return maximum(largest, smallest.neg());
    }

    private static double Number(Tensor tensor) => tensor.to(ScalarType.Float64).item<double>();
}
