using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// Arithmetic that goes through scalars. TorchSharp 0.107 turns a number into a native scalar that nothing holds while native code
/// reads it (its pull request 1434 is open): when the garbage collector runs in that moment, the call reads freed memory. Adding two
/// tensors does so too, by an alpha of 1. Seen here as "Unknown scalar type" after some hundred thousand calls. Here every scalar outlives
/// its call; a test over the compiled code keeps the library from TorchSharp's own way.
/// </summary>
internal static class ScalarArithmetic
{
    private static readonly Scalar One = 1;

    /// <summary>a + b.</summary>
    public static Tensor Plus(this Tensor a, Tensor b) => a.add(b, One);

    /// <summary>Adds a tensor in place.</summary>
    public static Tensor Accumulate(this Tensor sum, Tensor summand) => sum.add_(summand, One);

    /// <summary>tensor · factor.</summary>
    public static Tensor Times(this Tensor tensor, double factor)
    {
        using Scalar scalar = factor;
        return tensor.mul(scalar);
    }

    /// <summary>Multiplies in place.</summary>
    public static Tensor Scale(this Tensor tensor, double factor)
    {
        using Scalar scalar = factor;
        return tensor.mul_(scalar);
    }

    /// <summary>Multiplies whole numbers in place; what does not fit into their type wraps.</summary>
    public static Tensor Scale(this Tensor tensor, long factor)
    {
        using Scalar scalar = factor;
        return tensor.mul_(scalar);
    }

    /// <summary>Adds in place.</summary>
    public static Tensor Shift(this Tensor tensor, double summand)
    {
        using Scalar scalar = summand;
        return tensor.add_(scalar, One);
    }

    /// <summary>Adds a whole number in place, to tensors of whole numbers too.</summary>
    public static Tensor Shift(this Tensor tensor, long summand)
    {
        using Scalar scalar = summand;
        return tensor.add_(scalar, One);
    }

    /// <summary>tensor + a ⊙ b, in place.</summary>
    public static Tensor AddProduct(this Tensor tensor, Tensor a, Tensor b) => tensor.addcmul_(a, b, One);

    /// <summary>The larger of each number and the limit.</summary>
    public static Tensor AtLeast(this Tensor tensor, double limit)
    {
        using Scalar scalar = limit;
        return tensor.clamp(min: scalar);
    }

    /// <summary>The larger of each whole number and the limit.</summary>
    public static Tensor AtLeast(this Tensor tensor, long limit)
    {
        using Scalar scalar = limit;
        return tensor.clamp(min: scalar);
    }

    /// <summary>Where tensor ≥ limit.</summary>
    public static Tensor IsAtLeast(this Tensor tensor, double limit)
    {
        using Scalar scalar = limit;
        return tensor.ge(scalar);
    }

    /// <summary>Where tensor ≥ limit, compared as whole numbers.</summary>
    public static Tensor IsAtLeast(this Tensor tensor, long limit)
    {
        using Scalar scalar = limit;
        return tensor.ge(scalar);
    }

    /// <summary>Where tensor &gt; limit.</summary>
    public static Tensor IsAbove(this Tensor tensor, double limit)
    {
        using Scalar scalar = limit;
        return tensor.gt(scalar);
    }

    /// <summary>Where tensor &lt; limit.</summary>
    public static Tensor IsBelow(this Tensor tensor, double limit)
    {
        using Scalar scalar = limit;
        return tensor.lt(scalar);
    }

    /// <summary>Where tensor = value.</summary>
    public static Tensor IsEqualTo(this Tensor tensor, double value)
    {
        using Scalar scalar = value;
        return tensor.eq(scalar);
    }

    /// <summary>start, start + 1, ..., end − 1.</summary>
    public static Tensor WholeNumbers(long start, long end, Device device, ScalarType type = ScalarType.Int64)
    {
        using Scalar first = start;
        using Scalar behind = end;
        return arange(first, behind, One, type, device);
    }
}
