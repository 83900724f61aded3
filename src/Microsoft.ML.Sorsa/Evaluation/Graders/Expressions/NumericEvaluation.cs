using System.Numerics;

namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>
/// An expression's value in complex doubles, at a point where each symbol has a value. With it comes the largest number that was added
/// up on the way: the unit in which rounding is measured.
/// </summary>
internal sealed class NumericEvaluation(int point, bool isReal)
{
    private const int MostSteps = 50_000, MostTerms = 1_000, Nodes = 32;

    private static readonly (Complex, double) s_undefined = (new(double.NaN, double.NaN), double.NaN);

    private readonly Dictionary<string, Complex> bound = new(StringComparer.Ordinal);

    private int steps;

    public (Complex Value, double Scale) Of(Expression expression)
    {
        if (++steps > MostSteps)
        {
            return s_undefined;
        }

        switch (expression)
        {
            case Number number:
                return Plain(number.Value.ToDouble());
            case Symbol symbol:
                return Plain(bound.TryGetValue(symbol.Name, out Complex value) ? value : SymbolValue.Numeric(symbol.Name, point, isReal));
            case Constant constant:
                return constant.Name == ConstantName.NotANumber ? s_undefined : Plain(Value(constant.Name));
            case Sum sum:
                return Add(sum);
            case Product product:
                return Multiply(product.Factors);
            case Power power:
                return Raise(Of(power.Base), Of(power.Exponent));
            case Call call:
                return Apply(call);
            case Bound fold:
                return Plain(Work(fold));
            default:
                return s_undefined;
        }
    }

    private static (Complex, double) Plain(Complex value) => (value, Complex.Abs(value));

    private static Complex Value(ConstantName name) => name switch
    {
        ConstantName.Pi => Math.PI,
        ConstantName.E => Math.E,
        ConstantName.ImaginaryUnit => Complex.ImaginaryOne,
        _ => double.PositiveInfinity,
    };

    private (Complex, double) Add(Sum sum)
    {
        Complex total = 0;
        double scale = 0;
        foreach (Expression term in sum.Terms)
        {
            (Complex value, double size) = Of(term);
            total += value;
            scale = Math.Max(scale, size);
        }

        return (total, Math.Max(scale, Complex.Abs(total)));
    }

    private (Complex, double) Multiply(IReadOnlyList<Expression> factors)
    {
        Complex total = 1;
        double scale = 1;
        foreach (Expression factor in factors)
        {
            (Complex value, double size) = Of(factor);

            // Infinity times a real number stays on the axis; as complex numbers it would have no value.
            total = total.Imaginary == 0 && value.Imaginary == 0 ? total.Real * value.Real : total * value;
            scale *= size;
        }

        return (total, scale);
    }

    private static (Complex, double) Raise((Complex Value, double Scale) @base, (Complex Value, double Scale) exponent)
    {
        Complex power = exponent.Value;
        if (@base.Value == 0)
        {
            return power == 0 ? Plain(1) : power is { Real: > 0, Imaginary: 0 } ? Plain(0) : s_undefined;
        }

        if (power == 0.5)
        {
            return Plain(Complex.Sqrt(@base.Value));
        }

        if (power.Imaginary == 0 && power.Real == Math.Floor(power.Real) && Math.Abs(power.Real) <= 1024)
        {
            Complex result = Repeated(@base.Value, (int)Math.Abs(power.Real));
            double growth = Math.Max(1, @base.Scale / Complex.Abs(@base.Value));
            result = power.Real < 0 ? 1 / result : result;
            return (result, Complex.Abs(result) * Math.Pow(growth, Math.Min(Math.Abs(power.Real), 4)));
        }

        return Plain(Complex.Pow(@base.Value, power));
    }

    private static Complex Repeated(Complex @base, int power)
    {
        Complex result = 1;
        for (; power > 0; power >>= 1, @base *= @base)
        {
            result = (power & 1) == 1 ? result * @base : result;
        }

        return result;
    }

    private (Complex, double) Apply(Call call)
    {
        // Factorials, divisors and the like are functions of integers.
        if (!call.HasSymbols && new ExactEvaluation(point).Of(call) is { } exact)
        {
            return Plain(exact.ToDouble());
        }

        Complex[] arguments = new Complex[call.Arguments.Count];
        for (int i = 0; i < arguments.Length; i++)
        {
            arguments[i] = Of(call.Arguments[i]).Value;
        }

        return Plain(FunctionCatalog.Numeric(call.Function, arguments));
    }

    private Complex Work(Bound fold)
    {
        Complex? from = fold.From is null ? null : Of(fold.From).Value, to = fold.To is null ? null : Of(fold.To).Value;
        return (fold.Kind, from, to) switch
        {
            (Binding.Limit, { } target, _) => At(fold, target),
            (Binding.Derivative, _, _) => Derivative(fold),
            (Binding.Integral, { } low, { } high) => Integral(fold, low, high),
            (Binding.Sum, { } first, { } last) => Repeat(fold, first, last, 0, (left, right) => left + right),
            (Binding.Product, { } first, { } last) => Repeat(fold, first, last, 1, (left, right) => left * right),
            _ => s_undefined.Item1,
        };
    }

    private Complex Repeat(Bound fold, Complex from, Complex to, Complex start, Func<Complex, Complex, Complex> combine)
    {
        if (from.Imaginary != 0 || to.Imaginary != 0 || !(to.Real - from.Real <= MostTerms))
        {
            return s_undefined.Item1;
        }

        Complex total = start;
        for (double i = from.Real; i <= to.Real; i++)
        {
            total = combine(total, At(fold, i));
        }

        return total;
    }

    /// <summary>Cauchy's formula: the mean over a small circle, which is exact to rounding for what is analytic there.</summary>
    private Complex Derivative(Bound fold)
    {
        Complex centre = bound.TryGetValue(fold.Variable, out Complex value) ? value : SymbolValue.Numeric(fold.Variable, point, isReal);
        const double Radius = 0.125;
        Complex total = 0;
        for (int i = 0; i < Nodes; i++)
        {
            Complex direction = Complex.FromPolarCoordinates(1, 2 * Math.PI * i / Nodes);
            total += At(fold, centre + (Radius * direction)) / direction;
        }

        return total / (Nodes * Radius);
    }

    /// <summary>The rule of tanh-sinh: it takes roots and poles of the ends that can be integrated, too.</summary>
    private Complex Integral(Bound fold, Complex from, Complex to)
    {
        Complex half = (to - from) / 2, middle = (from + to) / 2, total = 0;
        const double Step = 1.0 / 16;
        for (int i = -52; i <= 52; i++)
        {
            double inner = Math.PI / 2 * Math.Sinh(i * Step), place = Math.Tanh(inner);
            double weight = Math.PI / 2 * Math.Cosh(i * Step) / (Math.Cosh(inner) * Math.Cosh(inner));
            total += Math.Abs(place) == 1 ? 0 : weight * At(fold, middle + (half * place));
        }

        return total * Step * half;
    }

    private Complex At(Bound fold, Complex value)
    {
        bool hadOuter = bound.TryGetValue(fold.Variable, out Complex outer);
        bound[fold.Variable] = value;
        Complex result = Of(fold.Body).Value;
        bound.Remove(fold.Variable);
        if (hadOuter)
        {
            bound[fold.Variable] = outer;
        }

        return result;
    }
}
