using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// C = A B of float32 on a processor where one side of C is a rank: of a training step h = x Aᵀ, p = dY B and the gradients hᵀ dY and pᵀ x.
/// MKL copies what it multiplies first, which does not pay where each number is used so few times; here it is read where it lies.
/// docs/decisions/own-kernels.md has the figures.
/// </summary>
internal static class TallSkinnyProduct
{
    /// <summary>Beyond it what MKL copies is used often enough.</summary>
    private const long HighestRank = 64;

    /// <summary>Multiplications that a thread takes at a time: some microseconds.</summary>
    private const long PartProducts = 1 << 19;

    /// <summary>The narrowest stripe of a wide B that a thread reads: rows of it lie far apart.</summary>
    private const long LeastStripe = 256;

    /// <summary>Rows of a wide B that are read before the next columns: they stay in the second cache for all rows of A.</summary>
    private const long BlockDepth = 256;

    /// <summary>
    /// Whether the products of an adapter are worth it, all of them or none: what is computed with a gradient and without must be the same.
    /// </summary>
    /// <param name="values">x or W, or one like them.</param>
    /// <param name="rank">r.</param>
    /// <param name="inputs">in.</param>
    /// <param name="outputs">out.</param>
    public static bool Fits(Tensor values, long rank, long inputs, long outputs) =>
        Fma.IsSupported && IsReadHere(values) && rank <= HighestRank
        && rank % ProductTiles.Columns == 0 && inputs % ProductTiles.Columns == 0 && outputs % ProductTiles.Columns == 0;

    /// <summary>
    /// C [m, n], without a gradient; belongs to the dispose scope that is open, where there is one, and otherwise to the caller.
    /// </summary>
    /// <param name="left">A [m, k], of any strides, float32.</param>
    /// <param name="right">B [k, n]; n a multiple of 16.</param>
    public static unsafe Tensor Compute(Tensor left, Tensor right)
    {
        if (!IsReadHere(left) || !IsReadHere(right) || left.size(1) != right.size(0) || right.size(1) % ProductTiles.Columns != 0)
        {
            throw new ArgumentException(
                $"[{string.Join(", ", left.shape)}] of {left.dtype} on {left.device} times [{string.Join(", ", right.shape)}] of "
                + $"{right.dtype} on {right.device} is none of these products.", nameof(right));
        }

        (long rows, long depth, long columns) = (left.size(0), left.size(1), right.size(1));
        Tensor product = empty([rows, columns], ScalarType.Float32);
        float[]? packed = right.stride(1) == 1 ? null : ByRows(right);
        fixed (float* copy = packed)
        {
            var tiles = new ProductTiles(
                (float*)TensorData.Address(left), left.stride(0), left.stride(1),
                copy is null ? (float*)TensorData.Address(right) : copy, copy is null ? right.stride(0) : columns,
                (float*)TensorData.Address(product), columns, depth);
            Compute(tiles, rows, depth, columns);
        }

        if (packed is not null)
        {
            ArrayPool<float>.Shared.Return(packed);
        }

        GC.KeepAlive(left);
        GC.KeepAlive(right);
        return product;
    }

    private static void Compute(ProductTiles tiles, long rows, long depth, long columns)
    {
        bool isWide = columns > rows;
        (long longer, long shorter) = isWide ? (columns, rows) : (rows, columns);
        long part = PartProducts / Math.Max(depth * shorter, 1) / ProductTiles.Columns * ProductTiles.Columns;
        part = Math.Max(part, isWide ? LeastStripe : ProductTiles.Rows);
        ParallelParts.Run((int)((longer + part - 1) / part), at =>
        {
            long first = at * part, end = Math.Min(first + part, longer);
            if (isWide)
            {
                tiles.Compute((0, rows), (first, end), BlockDepth);
            }
            else
            {
                tiles.Compute((first, end), (0, columns), Math.Max(depth, 1));
            }
        });
    }

    /// <summary>B without gaps, in an array of the pool's. Asking libtorch's threads for it takes as long as the product.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe float[] ByRows(Tensor right)
    {
        (long depth, long columns, long row, long step) = (right.size(0), right.size(1), right.stride(0), right.stride(1));
        float[] rented = ArrayPool<float>.Shared.Rent((int)(depth * columns));
        float* from = (float*)TensorData.Address(right);
        fixed (float* to = rented)
        {
            for (long k = 0; k < depth; k++)
            {
                for (long column = 0; column < columns; column++)
                {
                    to[(k * columns) + column] = from[(k * row) + (column * step)];
                }
            }
        }

        return rented;
    }

    private static bool IsReadHere(Tensor tensor) => tensor.dtype == ScalarType.Float32 && tensor.device_type == DeviceType.CPU;
}
