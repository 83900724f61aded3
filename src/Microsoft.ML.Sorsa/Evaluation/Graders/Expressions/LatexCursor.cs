namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>The place in a row of tokens, with a way back from what cannot be read; and what is read of tokens alone.</summary>
internal abstract class LatexCursor(IReadOnlyList<LatexToken> tokens, bool isSympy)
{
    /// <summary>Beyond either limit a text is not read: nobody's answer is, and nothing may take long.</summary>
    private const int MostDepth = 200, MostSteps = 20_000;

    private int depth, steps;

    protected IReadOnlyList<LatexToken> Tokens => tokens;

    /// <summary>Whether the text is read as SymPy reads it, or as mathematics.</summary>
    protected bool IsSympy => isSympy;

    protected int Position { get; set; }

    /// <summary>Nothing can be read any more.</summary>
    protected bool Failed { get; set; }

    protected LatexToken Next
    {
        get
        {
            LatexToken next = tokens[Position];
            Failed |= next.Kind == LatexKind.Unknown || ++steps > MostSteps;
            return Failed ? new(LatexKind.End, "") : next;
        }
    }

    protected LatexToken Take()
    {
        LatexToken next = Next;
        Position += next.Kind == LatexKind.End ? 0 : 1;
        return next;
    }

    /// <summary>Takes what was looked at.</summary>
    protected bool Skip() => Take().Kind != LatexKind.End;

    protected bool NextIs(LatexKind kind, string text) => Next is var next && next.Kind == kind && next.Text == text;

    protected bool TakeSign(string sign) => NextIs(LatexKind.Sign, sign) && Take().Kind == LatexKind.Sign;

    protected bool TakeCommand(params ReadOnlySpan<string> names) =>
        Next is { Kind: LatexKind.Command } next && names.Contains(next.Text) && Take().Kind == LatexKind.Command;

    /// <summary>What cannot be read leaves the place where it was.</summary>
    protected T? Try<T>(Func<T?> read)
        where T : Expression
    {
        int start = Position;
        if (Failed || depth >= MostDepth)
        {
            Failed = true;
            return null;
        }

        depth++;
        T? result = read();
        depth--;
        Position = result is null ? start : Position;
        return Failed ? null : result;
    }

    /// <summary>Digits with commas before groups of three; a point that digits follow belongs to them.</summary>
    protected Number? Numeral() => Try(() =>
    {
        int start = Position;
        string first = Digits(), digits = first;
        while (NextIs(LatexKind.Sign, ",") && DigitsAt(Position + 1) >= 3)
        {
            Take();
            digits += Take().Text + Take().Text + Take().Text;
        }

        if ((digits.Length > 0 || !isSympy) && TakeSign("."))
        {
            if (Digits() is not { Length: > 0 } decimals)
            {
                return isSympy ? BeforePoint(start, first, digits) : null;
            }

            digits += "." + decimals;
        }

        // SymPy hands the digits to Python, whose integers do not begin with a zero.
        Failed |= isSympy && digits.Length > 1 && digits[0] == '0' && digits.All(char.IsAsciiDigit) && digits.Trim('0').Length > 0;
        return digits.Length == 0 || Failed ? null : Number.Decimal(digits);
    });

    /// <summary>
    /// Before a point without digits SymPy's grammar takes the digits one by one and leaves the last: 128. is 1 times 2. Groups of three
    /// that a comma begins fall away instead.
    /// </summary>
    private Number? BeforePoint(int start, string first, string digits)
    {
        bool hasGroups = first.Length < digits.Length;
        Position = start + (hasGroups ? first.Length : 1);
        return hasGroups ? Number.Decimal(first) : first.Length > 1 ? Number.Decimal(first[..1]) : null;
    }

    private string Digits()
    {
        int start = Position;
        while (Next.Kind == LatexKind.Digit)
        {
            Take();
        }

        return string.Concat(tokens.Skip(start).Take(Position - start).Select(token => token.Text));
    }

    private int DigitsAt(int start)
    {
        int count = 0;
        while (count < 3 && tokens[start + count].Kind == LatexKind.Digit)
        {
            count++;
        }

        Failed |= tokens[start + count].Kind == LatexKind.Unknown;
        return count;
    }

    protected string Primes()
    {
        string primes = "";
        while (TakeSign("'"))
        {
            primes += "'";
        }

        return primes;
    }

    /// <summary>The tokens without braces around them: x_{1} is x_1.</summary>
    protected string Source(int start, int end)
    {
        string source = string.Join(' ', tokens.Skip(start).Take(end - start).Select(token => token.Text));
        return source is ['{', ' ', .. var inside, ' ', '}'] ? inside : source;
    }
}
