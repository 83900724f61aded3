using System.Globalization;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>
/// Reads what SymPy's parse_expr would read of Python's arithmetic: numbers, names, + - * / ** !, parentheses, calls. The text is parsed,
/// never run: SymPy hands it to Python's eval.
/// </summary>
internal sealed partial class PythonExpressionReader
{
    private const int MostDepth = 60, MostTokens = 2_000, MostExponent = 4_000;

    private const string NumberForm = @"([0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)([eE][+-]?[0-9]+)?";

    /// <summary>Words of Python, and names that are classes and functions of SymPy's: no values to calculate with.</summary>
    private static readonly HashSet<string> s_noValues = new(StringComparer.Ordinal)
    {
        "and", "or", "not", "if", "else", "is", "in", "for", "while", "lambda", "def", "class", "return", "yield", "None", "True", "False",
        "N", "O", "Q", "S", "beta", "gamma", "zeta", "sqrt", "log", "Abs", "Max", "Min", "factorial", "binomial", "floor", "ceiling", "gcd",
        "lcm", "Rational",
    };

    private readonly List<string> tokens = [];

    private int position, depth;

    private PythonExpressionReader(string text)
    {
        int end = 0;
        foreach (Match match in Token.Matches(text))
        {
            if (match.Index != end || tokens.Count > MostTokens)
            {
                break;
            }

            end += match.Length;
            if (!string.IsNullOrWhiteSpace(match.Value))
            {
                tokens.Add(match.Value);
            }
        }

        // Whatever is left over is no Python.
        tokens.Add(end < text.Length ? "?" : "");
    }

    /// <summary>The expression; null where the whole text is not one.</summary>
    public static Expression? Read(string text)
    {
        string plain = PythonText.Strip(text);

        // A quoted text is read again as an expression when its value is asked for.
        plain = plain.Length > 2 && plain[0] is '\'' or '"' && plain[^1] == plain[0] ? plain[1..^1] : plain;
        PythonExpressionReader reader = new(plain);
        Expression? expression = reader.Additive();
        return reader.Next.Length == 0 ? expression : null;
    }

    private string Next => tokens[position];

    private bool Take(string token)
    {
        bool isNext = Next == token;
        position += isNext ? 1 : 0;
        return isNext;
    }

    private Expression? Additive()
    {
        if (++depth > MostDepth || Multiplicative() is not { } first)
        {
            return null;
        }

        List<Expression> terms = [first];
        while (Next is "+" or "-")
        {
            bool isNegative = tokens[position++] == "-";
            if (Multiplicative() is not { } term)
            {
                return null;
            }

            terms.Add(isNegative ? Expression.Negative(term) : term);
        }

        depth--;
        return terms.Count == 1 ? first : new Sum(terms);
    }

    private Expression? Multiplicative()
    {
        Expression? product = Signed();
        while (product is not null && Next is "*" or "/" or "//" or "%")
        {
            string sign = tokens[position++];
            product = Signed() is not { } factor || product is null ? null
                : sign == "*" ? new Product([product, factor])
                : sign == "%" ? new Call("modulo", [product, factor])
                : sign == "/" ? Expression.Quotient(product, factor)
                : new Call("floor", [Expression.Quotient(product, factor)]);
        }

        return product;
    }

    private Expression? Signed()
    {
        bool isNegative = false;
        while (Next is "+" or "-")
        {
            isNegative ^= tokens[position++] == "-";
        }

        Expression? value = Raised();
        return value is null || !isNegative ? value : Expression.Negative(value);
    }

    private Expression? Raised()
    {
        Expression? @base = Primary();
        while (@base is not null && Take("!"))
        {
            @base = new Call("factorial", [@base]);
        }

        if (@base is null || !Take("**"))
        {
            return @base;
        }

        Expression? exponent = ++depth > MostDepth ? null : Signed();
        depth--;
        return exponent is null ? null : new Power(@base, exponent);
    }

    private Expression? Primary()
    {
        string token = Next;
        if (token == "(")
        {
            position++;
            return Additive() is { } inside && Take(")") ? inside : null;
        }

        if (token.Length == 0 || !(char.IsAsciiLetterOrDigit(token[0]) || token[0] is '.' or '_' || char.IsLetter(token[0])))
        {
            return null;
        }

        position++;
        return char.IsAsciiDigit(token[0]) || token[0] == '.' ? Literal(token)
            : Take("(") ? Application(token)
            : Named(token);
    }

    private static Number? Literal(string token)
    {
        // 1_000 is a number, 012 is none.
        bool isDecimal = token.AsSpan().IndexOfAny('.', 'e', 'E') >= 0;
        if (!PythonNumber.TryParse(token, out _) || (!isDecimal && token.Length > 1 && token[0] == '0' && token.Trim('0').Length > 0))
        {
            return null;
        }

        string digits = token.Replace("_", "", StringComparison.Ordinal);
        int mark = digits.AsSpan().IndexOfAny('e', 'E');
        bool isBounded = mark < 0
            || (int.TryParse(digits.AsSpan(mark + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int exponent)
                && Math.Abs((long)exponent) <= MostExponent);
        return isBounded ? new Number(Rational.ParseDecimal(digits), isDecimal) : null;
    }

    private static Expression? Named(string name) => name switch
    {
        _ when s_noValues.Contains(name) || FunctionCatalog.Commands.Contains(name) => null,
        "pi" => new Constant(ConstantName.Pi),
        "E" => new Constant(ConstantName.E),
        "I" => new Constant(ConstantName.ImaginaryUnit),
        "oo" => new Constant(ConstantName.Infinity),
        "nan" => new Constant(ConstantName.NotANumber),
        _ => new Symbol(name),
    };

    private Expression? Application(string name)
    {
        List<Expression> arguments = [];
        do
        {
            if (Additive() is not { } argument)
            {
                return null;
            }

            arguments.Add(argument);
        }
        while (Take(","));

        if (!Take(")"))
        {
            return null;
        }

        return (name, arguments) switch
        {
            ("sqrt", [var value]) => Expression.Root(value),
            ("cbrt", [var value]) => Expression.Root(value, new Number(3)),
            ("log" or "ln", [var value]) => new Call("ln", [value]),
            ("log", [var value, var @base]) => Expression.Quotient(new Call("ln", [value]), new Call("ln", [@base])),
            ("Abs" or "abs", [var value]) => new Call("abs", [value]),
            ("factorial" or "binomial" or "floor" or "ceiling" or "gcd" or "lcm", _) => new Call(name, arguments),
            ("Max" or "Min", _) => new Call(name.ToLowerInvariant(), arguments),
            ("asin" or "acos" or "atan" or "acot" or "asec" or "acsc", [var value]) => new Call("arc" + name[1..], [value]),
            ("Rational", [var up, var down]) => Expression.Quotient(up, down),
            (_, [var value]) when FunctionCatalog.Commands.Contains(name) => new Call(name, [value]),
            _ => new Call("f:" + name, arguments),
        };
    }

    [GeneratedRegex(@"[ \t]+|" + NumberForm + @"|[\p{L}_][\p{L}\p{Nd}_]*|\*\*|//|[-+*/%(),!]")]
    private static partial Regex Token { get; }
}
