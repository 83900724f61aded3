using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// The arithmetic of y = x Wᵀ + b. W is read as it lies in memory, as fast as memory gives it, and every row of x meets it while it is in
/// the processor's first cache. Each value of y is a sum in the same order, whatever other rows there are.
/// </summary>
/// <param name="weight">W [out, in]; like the others without gaps.</param>
/// <param name="bias">b [out], or null.</param>
/// <param name="x">[rows, in], as <see cref="Shuffle"/> leaves it.</param>
/// <param name="y">[rows, out], of W's type.</param>
/// <param name="rows">Of x and y.</param>
/// <param name="inputs">in.</param>
/// <param name="outputs">out.</param>
internal readonly unsafe struct RowProducts<TValues>(
    byte* weight, float* bias, float* x, byte* y, long rows, long inputs, long outputs)
    where TValues : IStoredValues
{
    private readonly byte* _weight = weight;
    private readonly float* _bias = bias;
    private readonly float* _x = x;
    private readonly byte* _y = y;
    private readonly long _rows = rows;
    private readonly long _inputs = inputs;
    private readonly long _outputs = outputs;

    /// <summary>Values that are loaded of W at a time.</summary>
    private static int Step => 2 * Vector<float>.Count;

    /// <summary>All rows of y, from one output to another.</summary>
    public void Compute(long first, long end)
    {
        for (long output = first; output < end; output++)
        {
            long row = 0;
            for (; row + 4 <= _rows; row += 4)
            {
                FourRows(output, row);
            }

            for (; row < _rows; row++)
            {
                OneRow(output, row);
            }
        }
    }

    /// <summary>A row of x as it meets W: what two vectors hold in W's order, and what does not fill them as it is.</summary>
    public static void Shuffle(byte* row, float* to, long count)
    {
        long i = 0;
        for (; i + Step <= count; i += Step)
        {
            (Vector<float> first, Vector<float> second) = TValues.LoadShuffled(row + (i * TValues.Size));
            first.Store(to + i);
            second.Store(to + i + Vector<float>.Count);
        }

        TensorData.Read<TValues>(row + (i * TValues.Size), new Span<float>(to + i, (int)(count - i)));
    }

    private byte* W(long output) => _weight + (output * _inputs * TValues.Size);

    private float* X(long row) => _x + (row * _inputs);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void OneRow(long output, long row)
    {
        byte* w = W(output);
        float* x = X(row);
        Vector<float> first = default, second = default;
        long i = 0;
        for (; i + Step <= _inputs; i += Step)
        {
            (Vector<float> w0, Vector<float> w1) = TValues.LoadShuffled(w + (i * TValues.Size));
            first = Vector.MultiplyAddEstimate(w0, Vector.Load(x + i), first);
            second = Vector.MultiplyAddEstimate(w1, Vector.Load(x + i + Vector<float>.Count), second);
        }

        Set(output, row, first + second, i);
    }

    /// <summary>
    /// What is loaded of W is used four times. The next row of W is asked for meanwhile: the processor's own guess of what comes next ends
    /// where four other rows of x meet the same row of W.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FourRows(long output, long row)
    {
        byte* w = W(output);
        float* a = X(row), b = a + _inputs, c = b + _inputs, d = c + _inputs;
        long length = _inputs * TValues.Size;
        Vector<float> evenA = default, evenB = default, evenC = default, evenD = default;
        Vector<float> oddA = default, oddB = default, oddC = default, oddD = default;
        long i = 0;
        for (; i + Step <= _inputs; i += Step)
        {
            byte* at = w + (i * TValues.Size);
            if (Sse.IsSupported)
            {
                // Behind W's end it does nothing.
                Sse.Prefetch0(at + length);
            }

            (Vector<float> w0, Vector<float> w1) = TValues.LoadShuffled(at);
            evenA = Vector.MultiplyAddEstimate(w0, Vector.Load(a + i), evenA);
            evenB = Vector.MultiplyAddEstimate(w0, Vector.Load(b + i), evenB);
            evenC = Vector.MultiplyAddEstimate(w0, Vector.Load(c + i), evenC);
            evenD = Vector.MultiplyAddEstimate(w0, Vector.Load(d + i), evenD);
            long next = i + Vector<float>.Count;
            oddA = Vector.MultiplyAddEstimate(w1, Vector.Load(a + next), oddA);
            oddB = Vector.MultiplyAddEstimate(w1, Vector.Load(b + next), oddB);
            oddC = Vector.MultiplyAddEstimate(w1, Vector.Load(c + next), oddC);
            oddD = Vector.MultiplyAddEstimate(w1, Vector.Load(d + next), oddD);
        }

        Set(output, row, evenA + oddA, i);
        Set(output, row + 1, evenB + oddB, i);
        Set(output, row + 2, evenC + oddC, i);
        Set(output, row + 3, evenD + oddD, i);
    }

    /// <summary>What the vector holds, the products that did not fill one, and the bias.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Set(long output, long row, Vector<float> sums, long from)
    {
        float sum = Vector.Sum(sums);
        byte* w = W(output);
        float* x = X(row);
        for (long i = from; i < _inputs; i++)
        {
            sum += TValues.Get(w + (i * TValues.Size)) * x[i];
        }

        if (_bias != null)
        {
            sum += _bias[output];
        }

        TValues.Set(_y + (((row * _outputs) + output) * TValues.Size), sum);
    }
}
