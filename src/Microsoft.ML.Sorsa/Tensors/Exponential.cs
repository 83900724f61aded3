using System.Numerics;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// e^x of a vector of float32, within 2 units of its last place. .NET's own computes in float64, with half as many values at a time.
/// </summary>
internal static class Exponential
{
    /// <summary>Below it e^x is no normal number, and 0 here; above the other it is infinite, though float32 ends at 88.72.</summary>
    private const float Lowest = -87.33654f, Highest = 88.37626f;

    /// <summary>ln 2 in two parts, of which the first has few digits: its multiples are exact.</summary>
    private const float LnTwo = 0.693359375f, LnTwoRest = -2.12194440e-4f;

    /// <summary>Added to a number it leaves the nearest whole one in the last digits.</summary>
    private const float WholeNumbers = 12582912;

    private const int MantissaBits = 23, ExponentBias = 127;

    /// <summary>e^x = 2^n e^r, where r = x − n ln 2 is at most ln 2 / 2; of e^r − 1 − r a polynomial (Moshier's Cephes, expf).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Of(Vector<float> x)
    {
        Vector<float> shifted = Vector.MultiplyAddEstimate(x, new Vector<float>(1.44269504f), new Vector<float>(WholeNumbers));
        Vector<float> n = shifted - new Vector<float>(WholeNumbers);
        Vector<float> r = Vector.MultiplyAddEstimate(n, new Vector<float>(-LnTwo), x);
        r = Vector.MultiplyAddEstimate(n, new Vector<float>(-LnTwoRest), r);
        var polynomial = new Vector<float>(1.9875691500e-4f);
        polynomial = Vector.MultiplyAddEstimate(polynomial, r, new Vector<float>(1.3981999507e-3f));
        polynomial = Vector.MultiplyAddEstimate(polynomial, r, new Vector<float>(8.3334519073e-3f));
        polynomial = Vector.MultiplyAddEstimate(polynomial, r, new Vector<float>(4.1665795894e-2f));
        polynomial = Vector.MultiplyAddEstimate(polynomial, r, new Vector<float>(1.6666665459e-1f));
        polynomial = Vector.MultiplyAddEstimate(polynomial, r, new Vector<float>(5.0000001201e-1f));
        Vector<float> power = Vector.MultiplyAddEstimate(polynomial, r * r, r) + Vector<float>.One;

        // n stands in the last bits of shifted; those in front of it are shifted out.
        Vector<float> scale = Vector.AsVectorSingle((Vector.AsVectorInt32(shifted) + new Vector<int>(ExponentBias)) << MantissaBits);
        Vector<float> normal = Vector.ConditionalSelect(
            Vector.GreaterThan(x, new Vector<float>(Highest)), new Vector<float>(float.PositiveInfinity), power * scale);
        return Vector.ConditionalSelect(Vector.LessThan(x, new Vector<float>(Lowest)), Vector<float>.Zero, normal);
    }
}
