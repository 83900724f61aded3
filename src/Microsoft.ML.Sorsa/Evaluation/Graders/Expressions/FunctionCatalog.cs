using System.Numerics;

namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>The functions that are known, by their LaTeX names.</summary>
internal static class FunctionCatalog
{
    private const int MostFactorial = 500;

    private static readonly Dictionary<string, Func<Complex, Complex>> s_numeric = new(StringComparer.Ordinal)
    {
        ["exp"] = Complex.Exp,
        ["ln"] = Complex.Log,
        ["sin"] = Complex.Sin,
        ["cos"] = Complex.Cos,
        ["tan"] = Complex.Tan,
        ["cot"] = x => 1 / Complex.Tan(x),
        ["sec"] = x => 1 / Complex.Cos(x),
        ["csc"] = x => 1 / Complex.Sin(x),
        ["arcsin"] = Complex.Asin,
        ["arccos"] = Complex.Acos,
        ["arctan"] = Complex.Atan,
        ["arccot"] = x => Complex.Atan(1 / x),
        ["arcsec"] = x => Complex.Acos(1 / x),
        ["arccsc"] = x => Complex.Asin(1 / x),
        ["sinh"] = Complex.Sinh,
        ["cosh"] = Complex.Cosh,
        ["tanh"] = Complex.Tanh,
        ["coth"] = x => 1 / Complex.Tanh(x),
        ["arsinh"] = x => Complex.Log(x + Complex.Sqrt((x * x) + 1)),
        ["arcosh"] = x => Complex.Log(x + (Complex.Sqrt(x - 1) * Complex.Sqrt(x + 1))),
        ["artanh"] = x => (Complex.Log(1 + x) - Complex.Log(1 - x)) / 2,
        ["abs"] = x => Complex.Abs(x),
        ["conjugate"] = Complex.Conjugate,
        ["floor"] = x => Whole(x, Math.Floor),
        ["ceiling"] = x => Whole(x, Math.Ceiling),
    };

    /// <summary>Functions of one argument that LaTeX has a command for and that stand before their argument.</summary>
    public static IReadOnlyList<string> Commands { get; } =
    [
        "exp", "ln", "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "arcsec", "arccsc", "sinh", "cosh",
        "tanh", "coth", "arsinh", "arcosh", "artanh",
    ];

    /// <summary>The function's inverse, for sin^{-1}; null where it has none here.</summary>
    public static string? Inverse(string name) => name is "sin" or "cos" or "tan" or "cot" or "sec" or "csc" ? "arc" + name
        : name is "sinh" or "cosh" or "tanh" ? "ar" + name
        : null;

    /// <summary>
    /// The value in doubles. A function that is only a name has the value of one that nobody would write: equal names of equal arguments
    /// are equal, and nothing else is.
    /// </summary>
    public static Complex Numeric(string name, IReadOnlyList<Complex> arguments)
    {
        if (arguments is [var argument] && s_numeric.TryGetValue(name, out Func<Complex, Complex>? function))
        {
            return function(argument);
        }

        Complex value = SymbolValue.Fraction(name, 0);
        for (int i = 0; i < arguments.Count; i++)
        {
            value += Complex.Sin((arguments[i] * (1.3 + SymbolValue.Fraction(name, i + 1))) + (0.7 * (i + 1))) * (i + 1.7);
        }

        return value;
    }

    /// <summary>The value of a function of fractions that gives fractions; null for all others.</summary>
    public static Rational? Exact(string name, IReadOnlyList<Rational> arguments) => (name, arguments) switch
    {
        ("abs", [var value]) => value.Sign < 0 ? -value : value,
        ("conjugate", [var value]) => value,
        ("floor", [var value]) => Rational.Floor(value),
        ("ceiling", [var value]) => -Rational.Floor(-value),
        ("factorial", [{ IsInteger: true, Sign: >= 0 } value]) when value.Numerator <= MostFactorial => Factorial((int)value.Numerator),
        ("binomial", [{ IsInteger: true } n, { IsInteger: true, Sign: >= 0 } k])
            when k.Numerator <= MostFactorial && BigInteger.Abs(n.Numerator) <= 1_000_000 => Binomial(n.Numerator, (int)k.Numerator),
        ("gcd", [_, ..]) when arguments.All(value => value.IsInteger) =>
            arguments.Select(value => value.Numerator).Aggregate(BigInteger.GreatestCommonDivisor),
        ("lcm", [_, ..]) when arguments.All(value => value.IsInteger && !value.IsZero) => arguments.Select(value => value.Numerator)
            .Aggregate((left, right) => BigInteger.Abs(left * right) / BigInteger.GreatestCommonDivisor(left, right)),
        ("max", [_, ..]) => arguments.Aggregate((left, right) => (left - right).Sign >= 0 ? left : right),
        ("min", [_, ..]) => arguments.Aggregate((left, right) => (left - right).Sign <= 0 ? left : right),
        ("modulo", [var value, { IsZero: false } modulus]) => value - (Rational.Floor(value / modulus) * modulus),
        _ => null,
    };

    private static Complex Whole(Complex value, Func<double, double> round) =>
        // 2.9999999999999996 that stands for three must not become two.
        Math.Abs(value.Real - Math.Round(value.Real)) < 1e-12 * Math.Max(1, Math.Abs(value.Real)) ? Math.Round(value.Real)
        : round(value.Real);

    private static BigInteger Factorial(int n)
    {
        BigInteger product = 1;
        for (int i = 2; i <= n; i++)
        {
            product *= i;
        }

        return product;
    }

    private static Rational Binomial(BigInteger n, int k)
    {
        Rational product = 1;
        for (int i = 0; i < k; i++)
        {
            product = product * (n - i) / (i + 1);
        }

        return product;
    }
}
