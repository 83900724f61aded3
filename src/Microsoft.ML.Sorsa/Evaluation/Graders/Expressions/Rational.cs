using System.Globalization;
using System.Numerics;

namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>An exact fraction in lowest terms with a positive denominator.</summary>
internal readonly record struct Rational
{
    /// <summary>Numbers beyond this many bits are not worked out exactly: an answer of a page of digits must not take minutes.</summary>
    public const int MostBits = 20_000;

    private readonly BigInteger denominatorLessOne;

    public Rational(BigInteger numerator, BigInteger denominator)
    {
        BigInteger divisor = BigInteger.GreatestCommonDivisor(numerator, denominator) * (denominator.Sign < 0 ? -1 : 1);
        Numerator = numerator / divisor;
        denominatorLessOne = (denominator / divisor) - 1;
    }

    public BigInteger Numerator { get; }

    /// <summary>Kept less one, so that the default value is zero.</summary>
    public BigInteger Denominator => denominatorLessOne + 1;

    public bool IsZero => Numerator.IsZero;

    public bool IsInteger => denominatorLessOne.IsZero;

    public int Sign => Numerator.Sign;

    public static implicit operator Rational(long integer) => new(integer, 1);

    public static implicit operator Rational(BigInteger integer) => new(integer, 1);

    public static Rational operator +(Rational left, Rational right) =>
        new((left.Numerator * right.Denominator) + (right.Numerator * left.Denominator), left.Denominator * right.Denominator);

    public static Rational operator -(Rational left, Rational right) => left + -right;

    public static Rational operator -(Rational value) => new(-value.Numerator, value.Denominator);

    public static Rational operator *(Rational left, Rational right) =>
        new(left.Numerator * right.Numerator, left.Denominator * right.Denominator);

    public static Rational operator /(Rational left, Rational right) =>
        new(left.Numerator * right.Denominator, left.Denominator * right.Numerator);

    /// <summary>Digits 0 to 9 with an optional sign, point and exponent.</summary>
    public static Rational ParseDecimal(string text)
    {
        int mark = text.AsSpan().IndexOfAny('e', 'E');
        int exponent = mark < 0 ? 0 : int.Parse(text.AsSpan(mark + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        string digits = mark < 0 ? text : text[..mark];
        int point = digits.IndexOf('.', StringComparison.Ordinal);
        exponent -= point < 0 ? 0 : digits.Length - point - 1;
        BigInteger all = BigInteger.Parse(
            point < 0 ? digits : digits.Remove(point, 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        return exponent < 0 ? new(all, BigInteger.Pow(10, -exponent)) : new(all * BigInteger.Pow(10, exponent), 1);
    }

    public static Rational Floor(Rational value) => new(
        BigInteger.DivRem(value.Numerator, value.Denominator, out BigInteger rest) - (rest.Sign < 0 ? 1 : 0), 1);

    /// <summary>The power; null where it is too large to be worked out, and for zero to a negative power.</summary>
    public Rational? Power(BigInteger exponent)
    {
        BigInteger size = BigInteger.Abs(exponent) * Math.Max(Numerator.GetBitLength(), Denominator.GetBitLength());
        bool isUnit = BigInteger.Abs(Numerator).IsOne && IsInteger;
        if (IsZero)
        {
            return exponent.Sign < 0 ? null : exponent.IsZero ? 1 : 0;
        }

        if (isUnit)
        {
            return Numerator.Sign > 0 || exponent.IsEven ? 1 : -1;
        }

        if (size > MostBits)
        {
            return null;
        }

        int power = (int)BigInteger.Abs(exponent);
        BigInteger up = BigInteger.Pow(Numerator, power), down = BigInteger.Pow(Denominator, power);
        return exponent.Sign < 0 ? new(down, up) : new(up, down);
    }

    /// <summary>The root where it is a fraction itself; null where it is a surd, or of a negative number.</summary>
    public Rational? Root(int degree) =>
        Sign >= 0 && IntegerRoot(Numerator, degree) is { } up && IntegerRoot(Denominator, degree) is { } down ? new(up, down) : null;

    public double ToDouble()
    {
        if (Numerator.GetBitLength() <= 53 && Denominator.GetBitLength() <= 53)
        {
            return (double)Numerator / (double)Denominator;
        }

        // 64 more bits than a double holds, then the power of two put back.
        long shift = 117 - Numerator.GetBitLength() + Denominator.GetBitLength();
        BigInteger quotient = shift >= 0 ? (Numerator << (int)shift) / Denominator : Numerator / (Denominator << (int)-shift);
        return Math.ScaleB((double)quotient, (int)-shift);
    }

    private static BigInteger? IntegerRoot(BigInteger value, int degree)
    {
        if (value.IsZero || value.IsOne)
        {
            return value;
        }

        if (value.GetBitLength() > 2000)
        {
            return null;
        }

        BigInteger low = 1, high = BigInteger.One << (int)((value.GetBitLength() / degree) + 1);
        while (low < high)
        {
            BigInteger middle = (low + high) >> 1;
            if (BigInteger.Pow(middle, degree) < value)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return BigInteger.Pow(low, degree) == value ? low : null;
    }
}
