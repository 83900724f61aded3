namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>The tokens of LaTeX as SymPy's grammar for it cuts them.</summary>
internal enum LatexKind
{
    Digit,
    Letter,

    /// <summary>A d with the letter that follows, as in dx.</summary>
    Differential,

    /// <summary>A backslash with letters.</summary>
    Command,

    /// <summary>Any of the signs that the grammar knows.</summary>
    Sign,

    Relation,

    /// <summary>A character that the grammar does not know: whoever looks at it fails.</summary>
    Unknown,

    End,
}

internal readonly record struct LatexToken(LatexKind Kind, string Text)
{
    private const string Signs = "+-*/(){}[]|_^:!,.'", Skipped = "*-./\"(=";

    private static readonly HashSet<string> s_skipped = new(StringComparer.Ordinal)
    {
        "thinspace", "medspace", "thickspace", "quad", "qquad", "negthinspace", "negmedspace", "negthickspace", "left", "right", "vrule",
        "vcenter", "vbox", "vskip", "vspace", "hfil",
    };

    private static readonly HashSet<string> s_relations = new(StringComparer.Ordinal)
    {
        "neq", "leq", "le", "leqq", "leqslant", "geq", "ge", "geqq", "geqslant",
    };

    /// <param name="text">The text.</param>
    /// <param name="differentials">Whether a d before a letter is one token with it.</param>
    public static IReadOnlyList<LatexToken> Split(string text, bool differentials)
    {
        List<LatexToken> tokens = [];
        for (int at = 0; at < text.Length;)
        {
            at += Next(text.AsSpan(at), differentials, out LatexToken? token);
            if (token is { } read)
            {
                tokens.Add(read);
            }
        }

        tokens.Add(new(LatexKind.End, ""));
        return tokens;
    }

    /// <summary>How long the next token is; none where it only sets space.</summary>
    private static int Next(ReadOnlySpan<char> text, bool differentials, out LatexToken? token)
    {
        char first = text[0];
        token = null;
        if (first is ' ' or '\t' or '\r' or '\n')
        {
            return 1;
        }

        if (first == '\\')
        {
            return Command(text, out token);
        }

        if (first == 'd' && differentials)
        {
            int letter = 1;
            while (letter < text.Length && text[letter] is ' ' or '\t' or '\r' or '\n')
            {
                letter++;
            }

            if (letter < text.Length && char.IsAsciiLetter(text[letter]))
            {
                token = new(LatexKind.Differential, "d" + text[letter]);
                return letter + 1;
            }
        }

        LatexKind kind = char.IsAsciiDigit(first) ? LatexKind.Digit
            : char.IsAsciiLetter(first) ? LatexKind.Letter
            : first is '=' or '<' or '>' ? LatexKind.Relation
            : Signs.Contains(first, StringComparison.Ordinal) ? LatexKind.Sign
            : LatexKind.Unknown;
        token = new(kind, first.ToString());
        return 1;
    }

    private static int Command(ReadOnlySpan<char> text, out LatexToken? token)
    {
        token = null;
        int length = 1;
        while (length < text.Length && char.IsAsciiLetter(text[length]))
        {
            length++;
        }

        char sign = text.Length > 1 ? text[1] : ' ';
        if (length == 1)
        {
            bool isBrace = sign is '{' or '}';
            bool isSpace = sign is ',' or ':' or ';' or '!' || Skipped.Contains(sign, StringComparison.Ordinal);
            token = isBrace ? new(LatexKind.Sign, @"\" + sign) : isSpace ? null : new(LatexKind.Unknown, @"\");
            return isBrace || isSpace ? 2 : 1;
        }

        string name = text[1..length].ToString();
        if (name is "left" or "right" && length < text.Length && text[length] == '|')
        {
            token = new(LatexKind.Sign, @"\" + name + "|");
            return length + 1;
        }

        token = s_skipped.Contains(name) ? null
            : new(s_relations.Contains(name) ? LatexKind.Relation : LatexKind.Command, name);
        return length;
    }
}
