namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>The place in a row of tokens, with a way back from what cannot be read.</summary>
internal abstract class LatexCursor(IReadOnlyList<LatexToken> tokens)
{
    /// <summary>Beyond either limit a text is not read: nobody's answer is, and nothing may take long.</summary>
    private const int MostDepth = 200, MostSteps = 20_000;

    private int depth, steps;

    protected IReadOnlyList<LatexToken> Tokens => tokens;

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

    protected string Digits()
    {
        int start = Position;
        while (Next.Kind == LatexKind.Digit)
        {
            Take();
        }

        return string.Concat(tokens.Skip(start).Take(Position - start).Select(token => token.Text));
    }

    protected int DigitsAt(int start)
    {
        int count = 0;
        while (count < 3 && tokens[start + count].Kind == LatexKind.Digit)
        {
            count++;
        }

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
