using System.Numerics;

namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>
/// An expression's value as a fraction, at a point where each symbol is a fraction, too. Null where the value is none (a surd, π), does
/// not exist, depends on more than the four operations on symbols, or is beyond <see cref="Rational.MostBits"/>.
/// </summary>
internal sealed class ExactEvaluation(int point)
{
    private const int MostSteps = 20_000, MostTerms = 1_000;

    private readonly Dictionary<string, Rational> bound = new(StringComparer.Ordinal);

    private int steps;

    public Rational? Of(Expression expression) => ++steps > MostSteps ? null : expression switch
    {
        Number number => number.Value,
        Symbol symbol => bound.TryGetValue(symbol.Name, out Rational value) ? value : SymbolValue.Exact(symbol.Name, point),
        Sum sum => Fold(sum.Terms, 0, (left, right) => left + right),
        Product product => Fold(product.Factors, 1, (left, right) => left * right),
        Power power => Raise(power),
        Call { HasSymbols: false } call => Arguments(call) is { } arguments ? FunctionCatalog.Exact(call.Function, arguments) : null,
        Bound { Kind: Binding.Limit, From: { } from } limit when Of(from) is { } target => At(limit, target),
        Bound { Kind: Binding.Sum } sum => Repeat(sum, 0, (left, right) => left + right),
        Bound { Kind: Binding.Product } product => Repeat(product, 1, (left, right) => left * right),
        _ => null,
    };

    private Rational? Fold(IReadOnlyList<Expression> operands, Rational start, Func<Rational, Rational, Rational> combine)
    {
        Rational total = start;
        foreach (Expression operand in operands)
        {
            if (Of(operand) is not { } value)
            {
                return null;
            }

            total = combine(total, value);
            if (IsTooLong(total))
            {
                return null;
            }
        }

        return total;
    }

    /// <summary>Roots of symbols have no exact value: the points are positive, and √(x²) is not x for all numbers.</summary>
    private Rational? Raise(Power power)
    {
        if (power.Exponent.HasSymbols || Of(power.Base) is not { } @base || Of(power.Exponent) is not { } exponent)
        {
            return null;
        }

        return exponent.IsInteger ? @base.Power(exponent.Numerator)
            : !power.Base.HasSymbols && exponent.Denominator <= 64 && @base.Root((int)exponent.Denominator) is { } root
                ? root.Power(exponent.Numerator)
            : null;
    }

    private Rational[]? Arguments(Call call)
    {
        Rational[] values = new Rational[call.Arguments.Count];
        for (int i = 0; i < values.Length; i++)
        {
            if (Of(call.Arguments[i]) is not { } value)
            {
                return null;
            }

            values[i] = value;
        }

        return values;
    }

    private Rational? Repeat(Bound fold, Rational start, Func<Rational, Rational, Rational> combine)
    {
        if (fold is not { From: { } first, To: { } last }
            || Of(first) is not { IsInteger: true } from || Of(last) is not { IsInteger: true } to
            || to.Numerator - from.Numerator > MostTerms)
        {
            return null;
        }

        Rational total = start;
        for (BigInteger i = from.Numerator; i <= to.Numerator; i++)
        {
            if (At(fold, i) is not { } value || IsTooLong(total = combine(total, value)))
            {
                return null;
            }
        }

        return total;
    }

    private Rational? At(Bound fold, Rational value)
    {
        bool hadOuter = bound.TryGetValue(fold.Variable, out Rational outer);
        bound[fold.Variable] = value;
        Rational? result = Of(fold.Body);
        bound.Remove(fold.Variable);
        if (hadOuter)
        {
            bound[fold.Variable] = outer;
        }

        return result;
    }

    private static bool IsTooLong(Rational value) =>
        value.Numerator.GetBitLength() > Rational.MostBits || value.Denominator.GetBitLength() > Rational.MostBits;
}
