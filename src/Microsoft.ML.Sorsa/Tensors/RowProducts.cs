using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>Where a product's tensors lie, each without gaps.</summary>
/// <param name="X">x [rows, in], float32.</param>
/// <param name="Weight">W [out, in].</param>
/// <param name="Y">y [rows, out], float32.</param>
/// <param name="Rows">Of x and y.</param>
/// <param name="Inputs">in.</param>
/// <param name="Outputs">out.</param>
internal sealed record ProductPlaces(nint X, nint Weight, nint Y, long Rows, long Inputs, long Outputs);

/// <summary>
/// The arithmetic of y = x Wᵀ. W is read as it lies in memory, as fast as memory gives it, and every row meets it while it is in the
/// processor's first cache. Each value of y is a sum in the same order, whatever other rows there are.
/// </summary>
internal static unsafe class RowProducts<TWeight>
    where TWeight : IProductWeight
{
    /// <summary>Values that are loaded of W at a time.</summary>
    private static int Step => 2 * Vector<float>.Count;

    /// <summary>All rows of y, from one output to another.</summary>
    public static void Compute(ProductPlaces places, long first, long end)
    {
        (long rows, long inputs, long outputs) = (places.Rows, places.Inputs, places.Outputs);
        for (long output = first; output < end; output++)
        {
            byte* w = (byte*)places.Weight + (output * inputs * TWeight.Size);
            float* x = (float*)places.X, y = (float*)places.Y + output;
            long row = 0;
            for (; row + 4 <= rows; row += 4)
            {
                FourRows(w, x + (row * inputs), inputs, y + (row * outputs), outputs);
            }

            for (; row < rows; row++)
            {
                y[row * outputs] = OneRow(w, x + (row * inputs), inputs);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float OneRow(byte* w, float* x, long inputs)
    {
        Vector<float> even = default, odd = default;
        long i = 0;
        for (; i + Step <= inputs; i += Step)
        {
            (Vector<float> w0, Vector<float> w1) = TWeight.Load(w + (i * TWeight.Size));
            even = Vector.MultiplyAddEstimate(w0, Vector.Load(x + i), even);
            odd = Vector.MultiplyAddEstimate(w1, Vector.Load(x + i + Vector<float>.Count), odd);
        }

        return Sum(even + odd, w, x, i, inputs);
    }

    /// <summary>
    /// What is loaded of W is used four times. The next row of W is asked for meanwhile: the processor's own guess of what comes next ends
    /// where four other rows of x meet the same row of W.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourRows(byte* w, float* x, long inputs, float* y, long outputs)
    {
        float* a = x, b = a + inputs, c = b + inputs, d = c + inputs;
        Vector<float> evenA = default, evenB = default, evenC = default, evenD = default;
        Vector<float> oddA = default, oddB = default, oddC = default, oddD = default;
        long i = 0;
        for (; i + Step <= inputs; i += Step)
        {
            if (Sse.IsSupported)
            {
                // Behind W's end it does nothing.
                Sse.Prefetch0(w + ((inputs + i) * TWeight.Size));
            }

            (Vector<float> w0, Vector<float> w1) = TWeight.Load(w + (i * TWeight.Size));
            long next = i + Vector<float>.Count;
            evenA = Vector.MultiplyAddEstimate(w0, Vector.Load(a + i), evenA);
            evenB = Vector.MultiplyAddEstimate(w0, Vector.Load(b + i), evenB);
            evenC = Vector.MultiplyAddEstimate(w0, Vector.Load(c + i), evenC);
            evenD = Vector.MultiplyAddEstimate(w0, Vector.Load(d + i), evenD);
            oddA = Vector.MultiplyAddEstimate(w1, Vector.Load(a + next), oddA);
            oddB = Vector.MultiplyAddEstimate(w1, Vector.Load(b + next), oddB);
            oddC = Vector.MultiplyAddEstimate(w1, Vector.Load(c + next), oddC);
            oddD = Vector.MultiplyAddEstimate(w1, Vector.Load(d + next), oddD);
        }

        y[0] = Sum(evenA + oddA, w, a, i, inputs);
        y[outputs] = Sum(evenB + oddB, w, b, i, inputs);
        y[2 * outputs] = Sum(evenC + oddC, w, c, i, inputs);
        y[3 * outputs] = Sum(evenD + oddD, w, d, i, inputs);
    }

    /// <summary>What the vectors hold, and the products that did not fill them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Sum(Vector<float> sums, byte* w, float* x, long from, long inputs)
    {
        float sum = Vector.Sum(sums);
        for (long i = from; i < inputs; i++)
        {
            sum += TWeight.Get(w + (i * TWeight.Size)) * x[i];
        }

        return sum;
    }
}
