using System.Numerics;

namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>
/// Whether two expressions are equal for all values of their symbols. Where both are fractions they are worked out exactly; otherwise in
/// doubles at several points, and what differs by less than rounding is equal.
/// </summary>
internal static class ExpressionEquality
{
    private const int ExactPoints = 3, NumericPoints = 12, LeastDefined = 2;

    /// <summary>Of the largest number on the way. A double has 2e-16; what is left is for a chain of operations.</summary>
    private const double Rounding = 1e-13;

    /// <param name="left">One expression.</param>
    /// <param name="right">The other one.</param>
    /// <param name="isReal">Symbols stand for real numbers alone, so that √(x²) is |x|.</param>
    public static bool AreEqual(Expression left, Expression right, bool isReal)
    {
        bool hasSymbols = left.HasSymbols || right.HasSymbols;
        return AreEqualExactly(left, right, hasSymbols) ?? AreEqualNumerically(left, right, hasSymbols, isReal);
    }

    /// <summary>The value of an expression without symbols; null where it is no finite real number.</summary>
    public static double? RealValue(Expression expression)
    {
        if (expression.HasSymbols)
        {
            return null;
        }

        if (new ExactEvaluation(0).Of(expression) is { } exact)
        {
            return exact.ToDouble();
        }

        (Complex value, double scale) = new NumericEvaluation(0, isReal: true).Of(expression);
        return Math.Abs(value.Imaginary) <= Rounding * scale || double.IsInfinity(value.Real) ? value.Real : null;
    }

    private static bool? AreEqualExactly(Expression left, Expression right, bool hasSymbols)
    {
        bool? verdict = null;
        for (int point = 0; point < (hasSymbols ? ExactPoints : 1); point++)
        {
            if (new ExactEvaluation(point).Of(left) is not { } first || new ExactEvaluation(point).Of(right) is not { } second)
            {
                return verdict;
            }

            if (first != second)
            {
                return false;
            }

            verdict = true;
        }

        return verdict;
    }

    private static bool AreEqualNumerically(Expression left, Expression right, bool hasSymbols, bool isReal)
    {
        int points = hasSymbols ? NumericPoints : 1, defined = 0;
        for (int point = 0; point < points; point++)
        {
            (Complex first, double firstScale) = new NumericEvaluation(point, isReal).Of(left);
            (Complex second, double secondScale) = new NumericEvaluation(point, isReal).Of(right);
            if (!Complex.IsFinite(first) || !Complex.IsFinite(second))
            {
                continue;
            }

            if (!(Complex.Abs(first - second) <= Rounding * Math.Max(firstScale, secondScale)))
            {
                return false;
            }

            defined++;
        }

        return defined >= Math.Min(points, LeastDefined);
    }
}
