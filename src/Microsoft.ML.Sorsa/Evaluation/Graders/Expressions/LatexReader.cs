using Kind = Microsoft.ML.Sorsa.Evaluation.Graders.Expressions.LatexKind;

namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>
/// Reads LaTeX in one of two ways. As SymPy's parse_latex: the longest beginning that is an expression, whatever stands behind it, so
/// <c>1, 2</c> is 1 and <c>52_7</c> is 52; π and e are symbols like x, and x(x+1) is a function. Or as mathematics: the whole text, with π
/// and e, mixed numbers, roots and fractions without braces.
/// </summary>
internal sealed class LatexReader : LatexCursor
{
    private static readonly HashSet<string> s_reserved = new(StringComparer.Ordinal)
    {
        "frac", "dfrac", "tfrac", "binom", "dbinom", "tbinom", "sqrt", "overline", "int", "sum", "prod", "lim", "log", "lg", "times",
        "cdot", "div", "lfloor", "rfloor", "lceil", "rceil", "to", "rightarrow", "Rightarrow", "longrightarrow", "Longrightarrow", "langle",
        "rangle", "mathit", "exp", "ln", "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "arcsec",
        "arccsc", "sinh", "cosh", "tanh", "arsinh", "arcosh", "artanh",
    };

    /// <summary>How many bars are open.</summary>
    private int bars;

    private LatexReader(string text, bool isSympy)
        : base(LatexToken.Split(text, differentials: isSympy || Differentials.Any(text.Contains)), isSympy)
    {
    }

    /// <summary>Where one of these stands, dx is no product.</summary>
    private static string[] Differentials { get; } = [@"\int", "{d}"];

    /// <summary>
    /// The beginning that SymPy reads; null where there is none, for relations, and where a character beside it is unknown.
    /// </summary>
    public static Expression? ReadAsSympy(string text)
    {
        if (!LatexMatrices.AreClosed(text))
        {
            return null;
        }

        LatexReader reader = new(text, isSympy: true);
        Expression? expression = reader.Additive();
        return reader.Next.Kind == Kind.Relation || reader.Failed ? null : expression;
    }

    /// <summary>The whole text; null where it is no expression.</summary>
    public static Expression? ReadAll(string text)
    {
        LatexReader reader = new(text, isSympy: false);
        Expression? expression = reader.Additive();
        return reader.Next.Kind != Kind.End || reader.Failed ? null : expression;
    }

    private Expression? Additive()
    {
        if (Multiplicative(functions: true) is not { } first)
        {
            return null;
        }

        List<Expression> terms = [first];
        while (Next is { Kind: Kind.Sign, Text: "+" or "-" } sign
            && Try(() => Skip() ? Begun(Multiplicative(functions: true)) : null) is { } term)
        {
            terms.Add(sign.Text == "-" ? Expression.Negative(term) : term);
        }

        return terms.Count == 1 ? first : new Sum(terms);
    }

    private Expression? Multiplicative(bool functions)
    {
        Expression? product = Unary(functions);
        while (product is not null && Operator() is { } divides
            && Try(() => Skip() ? Begun(Unary(functions)) : null) is { } factor)
        {
            product = divides ? Expression.Quotient(product, factor) : new Product([product, factor]);
        }

        return product;
    }

    /// <summary>True divides, false multiplies, null is another token.</summary>
    private bool? Operator() => Next switch
    {
        { Kind: Kind.Sign, Text: "*" } or { Kind: Kind.Command, Text: "times" or "cdot" } => false,
        { Kind: Kind.Sign, Text: "/" or ":" } or { Kind: Kind.Command, Text: "div" } => true,
        _ => null,
    };

    private Expression? Unary(bool functions) => Try(() =>
    {
        if (Next is { Kind: Kind.Sign, Text: "+" or "-" })
        {
            bool isNegative = Take().Text == "-";
            Expression? value = Unary(functions);
            return value is null || !isNegative ? value : Expression.Negative(value);
        }

        List<Expression> factors = [];
        while (!(factors.Count > 0 && bars > 0 && NextIs(Kind.Sign, "|")) && Postfix(functions || factors.Count == 0) is { } factor)
        {
            factors.Add(factor);
        }

        int derivative = factors.FindIndex(factor => factor is Bound { Kind: Binding.Derivative, Body: Number });
        if (derivative >= 0 && derivative < factors.Count - 1)
        {
            Bound operation = (Bound)factors[derivative];
            factors = [.. factors[..derivative], operation with { Body = new Product(factors[(derivative + 1)..]) }];
        }

        return factors.Count switch
        {
            0 => null,
            1 => factors[0],
            _ => IsSympy ? new Product(factors) : MixedNumbers.InProduct(factors),
        };
    });

    private Expression? Postfix(bool functions) => Try(() =>
    {
        Expression? value = Raised(functions);
        while (value is not null && TakeSign("!"))
        {
            value = new Call("factorial", [value]);
        }

        return value;
    });

    private Expression? Raised(bool functions)
    {
        Expression? value = Component(functions);
        while (value is not null && NextIs(Kind.Sign, "^") && Script("^") is { } exponent)
        {
            value = new Power(value, exponent);
            _ = Script("_");
        }

        return value;
    }

    private Expression? Component(bool functions) =>
        Group() ?? Absolute() ?? (functions ? Function() : null) ?? Atom()
        ?? EnclosedByCommands("lfloor", "rfloor", "floor") ?? EnclosedByCommands("lceil", "rceil", "ceiling");

    private Expression? Group() => Pair("(", ")") ?? Pair("[", "]") ?? Pair("{", "}") ?? Pair(@"\{", @"\}");

    private Expression? Pair(string open, string close) => !NextIs(Kind.Sign, open) ? null
        : Try(() => TakeSign(open) && Additive() is { } inside && TakeSign(close) ? inside : null);

    /// <summary>A bar behind a factor closes, one before it opens.</summary>
    private Call? Absolute()
    {
        bars++;
        Call? value = Pair("|", "|") is { } inside ? new Call("abs", [inside]) : null;
        bars--;
        return value;
    }

    private Call? EnclosedByCommands(string open, string close, string function) => !NextIs(Kind.Command, open) ? null
        : Try(() => TakeCommand(open) && Additive() is { } inside && TakeCommand(close) ? new Call(function, [inside]) : null);

    /// <summary>What stands behind ^ or _: one atom, or an expression in braces.</summary>
    private Expression? Script(string mark) => !NextIs(Kind.Sign, mark) ? null : Try(() =>
    {
        TakeSign(mark);
        return Begun(Pair("{", "}") ?? (NextIs(Kind.Sign, "{") ? null : Atom()));
    });

    /// <summary>An operand that begins with a digit and is no number is nothing else, either.</summary>
    private Expression? Begun(Expression? operand)
    {
        Failed |= IsSympy && operand is null && Next.Kind is Kind.Digit;
        return operand;
    }

    private Expression? Atom() => Next.Kind switch
    {
        Kind.Letter or Kind.Command => Fraction() ?? Binomial() ?? Name(),
        Kind.Digit => Indexed(Numeral()),
        Kind.Sign when !IsSympy && Next.Text == "." => Numeral(),
        Kind.Differential => new Symbol(Take().Text),
        _ => null,
    };

    /// <summary>A number's index is its base. math-verify reads over it, and so does this.</summary>
    private Number? Indexed(Number? number)
    {
        Failed |= !IsSympy && number is not null && Script("_") is not (null or Number);
        return number;
    }

    /// <summary>A letter or a command that means nothing else, with its index and primes.</summary>
    private Expression? Name()
    {
        if (NameOnly() is not { } name)
        {
            return null;
        }

        int start = Position;
        string index = Script("_") is null ? "" : "_" + Source(start + 1, Position);
        if (index.Length == 0 && NextIs(Kind.Sign, "_"))
        {
            return null;
        }

        return name == "infty" ? new Constant(ConstantName.Infinity)
            : IsSympy || index.Length > 0 ? new Symbol(Folded(name) + index + Primes())
            : Folded(name) switch
            {
                "pi" => new Constant(ConstantName.Pi),
                "e" => new Constant(ConstantName.E),
                _ => new Symbol(Folded(name) + Primes()),
            };
    }

    /// <summary>math-verify compares names without case, but for I, which is not i.</summary>
    private string Folded(string name) => IsSympy || name is "I" ? name : name.ToLowerInvariant();

    private string? NameOnly() =>
        Next.Kind == Kind.Letter || (Next.Kind == Kind.Command && !s_reserved.Contains(Next.Text)) ? Take().Text : null;

    /// <summary>Above and below stands one digit, or an expression in braces. d above dx is a derivative's sign.</summary>
    private Expression? Fraction() => Next is not { Kind: Kind.Command, Text: "frac" or "dfrac" or "tfrac" } ? null : Try(() =>
        Skip() && DigitOrBraces() is { } numerator && DigitOrBraces() is { } denominator
            ? denominator is Symbol { Name: ['d', var variable] } && numerator is Symbol { Name: ['d', .. var function] }
                ? new Bound(
                    Binding.Derivative, variable.ToString(), null, null, function.Length == 0 ? new Number(1) : new Symbol(function))
                : Expression.Quotient(numerator, denominator)
            : null);

    private Expression? DigitOrBraces() =>
        Next.Kind == Kind.Digit ? Number.Decimal(Take().Text)
        : Pair("{", "}") ?? (!IsSympy && Next.Kind is Kind.Letter or Kind.Command ? Name() : null);

    private Call? Binomial() => Next is not { Kind: Kind.Command, Text: "binom" or "dbinom" or "tbinom" } ? null : Try(() =>
        Skip() && Pair("{", "}") is { } n && Pair("{", "}") is { } k ? new Call("binomial", [n, k]) : null);

    private Expression? Function() => Next.Kind switch
    {
        Kind.Command when Next.Text is "sqrt" => Try(Radical),
        Kind.Command when Next.Text is "overline" && IsSympy => Try(() =>
            TakeCommand("overline") && Pair("{", "}") is { } inside ? new Call("conjugate", [inside]) : null),
        Kind.Command when Next.Text is "int" => Try(Integral),
        Kind.Command when Next.Text is "sum" or "prod" => Try(Repeated),
        Kind.Command when Next.Text is "lim" => Try(Limit),
        Kind.Command when Next.Text is "log" or "lg" || FunctionCatalog.Commands.Contains(Next.Text) => Try(Standard),
        Kind.Command or Kind.Letter => Try(Application),
        _ => null,
    };

    private Expression? Radical()
    {
        TakeCommand("sqrt");
        Expression? degree = Pair("[", "]");
        return (IsSympy ? Pair("{", "}") : DigitOrBraces()) is { } radicand ? Expression.Root(radicand, degree) : null;
    }

    /// <summary>
    /// sin, log and the like: with an index and an exponent in either order, then the argument, in parentheses or without.
    /// </summary>
    private Expression? Standard()
    {
        string name = Take().Text;
        Expression? index = Script("_"), exponent = Script("^");
        index ??= Script("_");
        Expression? argument = Argument();
        if (argument is null && index is Number { Value: { IsInteger: true } digits } && digits.Numerator >= 10
            && Tokens[Position - 1].Kind == Kind.Digit)
        {
            // log_28 is the logarithm of 8: an argument there must be.
            index = new Number((digits.Numerator - (digits.Numerator % 10)) / 10);
            Position--;
            argument = Argument();
        }

        if (argument is null)
        {
            return null;
        }

        if (name is "log" or "lg" or "ln")
        {
            Expression? @base = index ?? (name == "lg" || (name == "log" && !IsSympy) ? new Number(10) : null);
            Expression logarithm = new Call("ln", [argument]);
            logarithm = @base is null ? logarithm : Expression.Quotient(logarithm, new Call("ln", [@base]));
            return exponent is null ? logarithm : new Power(logarithm, exponent);
        }

        return exponent is Number { Value: var value } && value == -1 && FunctionCatalog.Inverse(name) is { } inverse
            ? new Call(inverse, [argument])
            : exponent is null ? new Call(name, [argument]) : new Power(new Call(name, [argument]), exponent);
    }

    private Expression? Argument() => Pair("(", ")") ?? Multiplicative(functions: false);

    /// <summary>A letter before parentheses is a function: x(x+1) is x of x+1.</summary>
    private Expression? Application()
    {
        if (!(IsSympy || Next.Text is "gcd" or "lcm" or "max" or "min") || NameOnly() is not { } name)
        {
            return null;
        }

        int start = Position;
        name += Script("_") is null ? "" : "_" + Source(start + 1, Position);
        name += Primes();
        if (!TakeSign("("))
        {
            return null;
        }

        List<Expression> arguments = [];
        do
        {
            if (Additive() is not { } argument)
            {
                return null;
            }

            arguments.Add(argument);
        }
        while (TakeSign(","));

        return TakeSign(")") ? new Call(IsSympy ? "f:" + name : name, arguments) : null;
    }

    private Expression? Integral()
    {
        TakeCommand("int");
        Expression? from = Script("_"), to = Script("^");
        from ??= Script("_");
        return Additive() is Product { Factors: [.., Symbol { Name: ['d', var variable] }] } product
            ? new Bound(Binding.Integral, variable.ToString(), from, to, new Product([.. product.Factors.SkipLast(1)]))
            : null;
    }

    private Expression? Repeated()
    {
        Binding kind = Take().Text == "sum" ? Binding.Sum : Binding.Product;
        if (!TakeSign("_") || !TakeSign("{") || Additive() is not Symbol variable || !NextIs(Kind.Relation, "=") || !Skip()
            || Additive() is not { } from || !TakeSign("}") || Script("^") is not { } to)
        {
            return null;
        }

        return Multiplicative(functions: true) is { } body ? new Bound(kind, variable.Name, from, to, body) : null;
    }

    private Expression? Limit()
    {
        TakeCommand("lim");
        if (!TakeSign("_") || !TakeSign("{") || NameOnly() is not { } variable
            || !TakeCommand("to", "rightarrow", "Rightarrow", "longrightarrow", "Longrightarrow") || Additive() is not { } target
            || !TakeSign("}"))
        {
            return null;
        }

        return Multiplicative(functions: true) is { } body ? new Bound(Binding.Limit, variable, target, null, body) : null;
    }
}
