using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>Where a product's tensors lie, each without gaps.</summary>
/// <param name="X">x [rows, in], float32, as <see cref="RowProducts{TValues}.Shuffle"/> leaves it.</param>
/// <param name="Weight">W [out, in].</param>
/// <param name="Bias">b [out], float32; 0: none.</param>
/// <param name="Y">y [rows, out], of W's type.</param>
/// <param name="Rows">Of x and y.</param>
/// <param name="Inputs">in.</param>
/// <param name="Outputs">out.</param>
internal sealed record ProductPlaces(nint X, nint Weight, nint Bias, nint Y, long Rows, long Inputs, long Outputs);

/// <summary>
/// The arithmetic of y = x Wᵀ + b. W is read as it lies in memory, as fast as memory gives it, and every row of x meets it while it is in
/// the processor's first cache. Each value of y is a sum in the same order, whatever other rows there are.
/// </summary>
internal readonly unsafe struct RowProducts<TValues>
    where TValues : IStoredValues
{
    private readonly byte* _weight;
    private readonly float* _bias;
    private readonly byte* _y;
    private readonly float* _x;
    private readonly long _rows;
    private readonly long _inputs;
    private readonly long _outputs;

    private RowProducts(ProductPlaces places)
    {
        _weight = (byte*)places.Weight;
        _bias = (float*)places.Bias;
        _y = (byte*)places.Y;
        _x = (float*)places.X;
        (_rows, _inputs, _outputs) = (places.Rows, places.Inputs, places.Outputs);
    }

    /// <summary>Values that are loaded of W at a time.</summary>
    private static int Step => 2 * Vector<float>.Count;

    /// <summary>All rows of y, from one output to another.</summary>
    public static void Compute(ProductPlaces places, long first, long end)
    {
        var products = new RowProducts<TValues>(places);
        long output = first;
        for (; output < end; output++)
        {
            long row = 0;
            for (; row + 4 <= products._rows; row += 4)
            {
                products.FourRows(output, row);
            }

            for (; row < products._rows; row++)
            {
                products.OneRow(output, row);
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

        FewRows.Read<TValues>(row + (i * TValues.Size), new Span<float>(to + i, (int)(count - i)));
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
