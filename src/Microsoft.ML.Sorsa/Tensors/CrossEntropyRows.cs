using System.Numerics;
using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// The arithmetic of log Σ e^(s_j) − s_target and of its gradient on a processor, a row of scores at a time: libtorch writes the scores in
/// float32, the logarithms of all probabilities and two gradients of their size. It computes in float32, sums in float64. A row's values
/// do not depend on the others.
/// </summary>
internal static unsafe class CrossEntropyRows
{
    /// <summary>Values whose exponentials are summed in float32.</summary>
    private const int Segment = 1024;

    /// <summary>Whether these are computed with here.</summary>
    public static bool Fits(Tensor scores, Tensor targets) =>
        TensorData.IsReadable(scores) && scores.dim() == 2 && scores.size(1) > 0
        && targets.dtype == ScalarType.Int64 && targets.device_type == DeviceType.CPU && targets.is_contiguous()
        && targets.dim() == 1 && targets.size(0) == scores.size(0);

    /// <summary>
    /// The losses [rows] in float32, and what the gradient needs, each row's largest score and Σ e^(s − largest) [rows, 2]. They belong to
    /// the dispose scope that is open.
    /// </summary>
    /// <param name="scores">s [rows, V], without gaps.</param>
    /// <param name="targets">[rows], int64.</param>
    /// <exception cref="ArgumentOutOfRangeException">A target is none of the V.</exception>
    public static (Tensor Losses, Tensor Sums) Forward(Tensor scores, Tensor targets)
    {
        foreach (long target in targets.data<long>())
        {
            if (target < 0 || target >= scores.size(1))
            {
                throw new ArgumentOutOfRangeException(
                    nameof(targets), target, $"There are scores for {scores.size(1)} tokens, which are counted from 0.");
            }
        }

        Tensor losses = empty(scores.size(0), ScalarType.Float32), sums = empty(scores.size(0), 2, ScalarType.Float32);
        Run(scores, targets, new Results(TensorData.Address(losses), TensorData.Address(sums), 0));
        return (losses, sums);
    }

    /// <summary>
    /// ∂L/∂s [rows, V] of the scores' type: p − 1 at the target and p elsewhere, times ∂L/∂loss. It belongs to the dispose scope that is
    /// open.
    /// </summary>
    /// <param name="gradient">∂L/∂loss [rows], float32, without gaps.</param>
    /// <param name="scores">s [rows, V].</param>
    /// <param name="targets">[rows].</param>
    /// <param name="sums">What <see cref="Forward"/> gave.</param>
    public static Tensor Backward(Tensor gradient, Tensor scores, Tensor targets, Tensor sums)
    {
        Tensor ds = empty(TensorData.Shape(scores), scores.dtype);
        Run(scores, targets, new Results(TensorData.Address(gradient), TensorData.Address(sums), TensorData.Address(ds)));
        GC.KeepAlive(gradient);
        GC.KeepAlive(sums);
        return ds;
    }

    private static void Run(Tensor scores, Tensor targets, Results results)
    {
        if (scores.dtype == ScalarType.Float32)
        {
            Run<Float32Values>(scores, targets, results);
        }
        else
        {
            Run<BFloat16Values>(scores, targets, results);
        }

        GC.KeepAlive(scores);
        GC.KeepAlive(targets);
    }

    private static void Run<TValues>(Tensor scores, Tensor targets, Results results)
        where TValues : IStoredValues
    {
        long count = scores.size(1);
        nint from = TensorData.Address(scores), of = TensorData.Address(targets);
        ParallelParts.OverRows(scores.size(0), count, (first, last) =>
        {
            float* losses = (float*)results.Losses, sums = (float*)results.Sums;
            for (long row = first; row < last; row++)
            {
                byte* values = (byte*)from + (row * count * TValues.Size);
                long target = ((long*)of)[row];
                if (results.Gradients == 0)
                {
                    float largest = Largest<TValues>(values, count);
                    double sum = SumOfExponentials<TValues>(values, count, largest);
                    (sums[2 * row], sums[(2 * row) + 1]) = (largest, (float)sum);
                    losses[row] = (float)(Math.Log(sum) + largest - TValues.Get(values + (target * TValues.Size)));
                }
                else
                {
                    Differentiate<TValues>(
                        values, (byte*)results.Gradients + (row * count * TValues.Size), count, target,
                        (sums[2 * row], sums[(2 * row) + 1], losses[row]));
                }
            }
        });
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Largest<TValues>(byte* values, long count)
        where TValues : IStoredValues
    {
        var block = new LargestBlock<TValues>();
        long whole = count / VectorBlocks.Step * VectorBlocks.Step;
        VectorBlocks.Run<TValues, LargestBlock<TValues>>(ref block, new BlockPlaces { A = values }, whole);
        float largest = block.Total;
        for (long i = whole; i < count; i++)
        {
            largest = MathF.Max(largest, TValues.Get(values + (i * TValues.Size)));
        }

        return largest;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double SumOfExponentials<TValues>(byte* values, long count, float largest)
        where TValues : IStoredValues
    {
        double sum = 0;
        long whole = count / VectorBlocks.Step * VectorBlocks.Step;
        for (long at = 0; at < whole; at += Segment)
        {
            var block = new SumBlock<TValues>(largest);
            VectorBlocks.Run<TValues, SumBlock<TValues>>(
                ref block, new BlockPlaces { A = values + (at * TValues.Size) }, Math.Min(Segment, whole - at));
            sum += block.Total;
        }

        for (long i = whole; i < count; i++)
        {
            sum += Exponential.Of(new Vector<float>(TValues.Get(values + (i * TValues.Size)) - largest))[0];
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Differentiate<TValues>(
        byte* values, byte* to, long count, long target, (float Largest, float Sum, float Gradient) of)
        where TValues : IStoredValues
    {
        var block = new GradientBlock<TValues>(of.Largest, of.Gradient / of.Sum);
        VectorBlocks.Run<TValues, GradientBlock<TValues>>(ref block, new BlockPlaces { A = values, To = to }, count);
        float share = Exponential.Of(new Vector<float>(TValues.Get(values + (target * TValues.Size)) - of.Largest))[0] / of.Sum;
        TValues.Set(to + (target * TValues.Size), (share - 1) * of.Gradient);
    }

    /// <summary>Where the results lie; without gradients losses and sums are written, with them they are read.</summary>
    private readonly record struct Results(nint Losses, nint Sums, nint Gradients);

    private struct LargestBlock<TValues> : IVectorBlock
        where TValues : IStoredValues
    {
        private Vector<float> _largest = new(float.NegativeInfinity);

        public LargestBlock()
        {
        }

        public readonly float Total
        {
            get
            {
                float largest = _largest[0];
                for (int i = 1; i < Vector<float>.Count; i++)
                {
                    largest = MathF.Max(largest, _largest[i]);
                }

                return largest;
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Compute(in BlockPlaces row, long at)
        {
            (Vector<float> first, Vector<float> second) = TValues.Load(row.A + at);
            _largest = Vector.Max(_largest, Vector.Max(first, second));
        }
    }

    private struct SumBlock<TValues>(float largest) : IVectorBlock
        where TValues : IStoredValues
    {
        private Vector<float> _sum;

        public readonly float Total => Vector.Sum(_sum);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Compute(in BlockPlaces row, long at)
        {
            (Vector<float> first, Vector<float> second) = TValues.Load(row.A + at);
            var most = new Vector<float>(largest);
            _sum += Exponential.Of(first - most) + Exponential.Of(second - most);
        }
    }

    private readonly struct GradientBlock<TValues>(float largest, float factor) : IVectorBlock
        where TValues : IStoredValues
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Compute(in BlockPlaces row, long at)
        {
            (Vector<float> first, Vector<float> second) = TValues.Load(row.A + at);
            var most = new Vector<float>(largest);
            TValues.Store(row.To + at, Exponential.Of(first - most) * factor, Exponential.Of(second - most) * factor);
        }
    }
}
