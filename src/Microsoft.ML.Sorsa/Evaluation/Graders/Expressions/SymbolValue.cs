using System.Numerics;

namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>
/// The values at which two expressions with symbols are compared: they follow from a symbol's name and the number of the comparison, so
/// that a verdict never changes from run to run, and are such that nobody writes an identity for them by chance.
/// </summary>
internal static class SymbolValue
{
    public static Rational Exact(string name, int point) => new((Hash(name, point) % 1999) + 3, (Hash(name, point + 100) % 97) + 2);

    /// <summary>Between 0.4 and 3.4 from zero: on the real axis, or anywhere in the plane.</summary>
    public static Complex Numeric(string name, int point, bool isReal)
    {
        double size = 0.4 + (3 * Fraction(name, point));
        return !isReal ? Complex.FromPolarCoordinates(size, 2 * Math.PI * Fraction(name, point + 50))
            : point % 2 == 0 ? size
            : Fraction(name, point + 50) < 0.5 ? -size
            : size;
    }

    /// <summary>From 0 to 1.</summary>
    public static double Fraction(string name, int point) => Hash(name, point) / (double)uint.MaxValue;

    /// <summary>FNV-1a with a last mix: .NET's own hash of a text differs from process to process.</summary>
    private static uint Hash(string name, int point)
    {
        uint hash = 2166136261;
        foreach (char letter in name)
        {
            hash = (hash ^ letter) * 16777619;
        }

        hash = (hash ^ (uint)point) * 16777619;
        hash = (hash ^ (hash >> 15)) * 2246822519;
        hash = (hash ^ (hash >> 13)) * 3266489917;
        return hash ^ (hash >> 16);
    }
}
