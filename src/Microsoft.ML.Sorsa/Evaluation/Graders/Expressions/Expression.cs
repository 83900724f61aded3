namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>
/// A term as a tree. The readers build it (<see cref="LatexReader"/>, <see cref="PythonExpressionReader"/>, <see cref="MathReader"/>);
/// <see cref="ExactEvaluation"/> and <see cref="NumericEvaluation"/> work it out. Trees are as deep as the
/// readers allow, so walking them needs no limit of its own.
/// </summary>
internal abstract record Expression
{
    public static Expression operator -(Expression left, Expression right) => new Sum([left, Negative(right)]);

    public static Expression Negative(Expression value) =>
        value is Number number ? number with { Value = -number.Value } : new Product([new Number(-1), value]);

    public static Expression Quotient(Expression numerator, Expression denominator) =>
        new Product([numerator, new Power(denominator, new Number(-1))]);

    public static Expression Root(Expression radicand, Expression? degree = null) =>
        new Power(radicand, degree is null ? new Number(new Rational(1, 2)) : new Power(degree, new Number(-1)));

    /// <summary>Whether a symbol stands in it that no sum, product, integral or limit binds.</summary>
    public bool HasSymbols => HasSymbolsBut([]);

    /// <summary>Whether two trees are the same, node by node.</summary>
    public static bool AreSame(Expression left, Expression right) => (left, right) switch
    {
        (Sum first, Sum second) => AreSame(first.Terms, second.Terms),
        (Product first, Product second) => AreSame(first.Factors, second.Factors),
        (Power first, Power second) => AreSame(first.Base, second.Base) && AreSame(first.Exponent, second.Exponent),
        (Call first, Call second) => first.Function == second.Function && AreSame(first.Arguments, second.Arguments),
        _ => left == right,
    };

    private static bool AreSame(IReadOnlyList<Expression> left, IReadOnlyList<Expression> right) =>
        left.Count == right.Count && left.Zip(right).All(pair => AreSame(pair.First, pair.Second));

    private bool HasSymbolsBut(string[] bound) => this switch
    {
        Symbol symbol => !bound.Contains(symbol.Name, StringComparer.Ordinal),
        Sum sum => sum.Terms.Any(term => term.HasSymbolsBut(bound)),
        Product product => product.Factors.Any(factor => factor.HasSymbolsBut(bound)),
        Power power => power.Base.HasSymbolsBut(bound) || power.Exponent.HasSymbolsBut(bound),
        Call call => call.Arguments.Any(argument => argument.HasSymbolsBut(bound)),
        Bound { Kind: Binding.Derivative } derivative => derivative.Body.HasSymbolsBut(bound),
        Bound fold => fold.From?.HasSymbolsBut(bound) == true || fold.To?.HasSymbolsBut(bound) == true
            || fold.Body.HasSymbolsBut([.. bound, fold.Variable]),
        _ => false,
    };
}

/// <param name="Value">The exact value, of a decimal, too.</param>
/// <param name="IsDecimal">Written with a point.</param>
internal sealed record Number(Rational Value, bool IsDecimal = false) : Expression
{
    public static Number Decimal(string digits) =>
        new(Rational.ParseDecimal(digits), digits.Contains('.', StringComparison.Ordinal));
}

internal sealed record Symbol(string Name) : Expression;

/// <summary>A number with a name.</summary>
internal sealed record Constant(ConstantName Name) : Expression;

internal enum ConstantName
{
    Pi,
    E,
    ImaginaryUnit,
    Infinity,
    NotANumber,
}

internal sealed record Sum(IReadOnlyList<Expression> Terms) : Expression;

internal sealed record Product(IReadOnlyList<Expression> Factors) : Expression;

internal sealed record Power(Expression Base, Expression Exponent) : Expression;

/// <summary>A function of <see cref="FunctionCatalog"/>, or one that only has a name.</summary>
internal sealed record Call(string Function, IReadOnlyList<Expression> Arguments) : Expression;

internal enum Binding
{
    Sum,
    Product,
    Integral,
    Derivative,
    Limit,
}

/// <summary>What binds a variable: Σ and Π from one integer to another, ∫ between bounds, d/dx, lim towards <see cref="From"/>.</summary>
internal sealed record Bound(Binding Kind, string Variable, Expression? From, Expression? To, Expression Body) : Expression;
