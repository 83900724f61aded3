using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>
/// Reads an answer of MATH: lists, sets, tuples, intervals and their unions, equations and inequalities, matrices, percentages, words;
/// what is left is a term, which <see cref="LatexReader"/> reads.
/// </summary>
internal static partial class MathReader
{
    private const int MostDepth = 12, MostLength = 2_000;

    private const string MatrixFactor = @"^([^\\&]*|\\frac\{[^{}]*\}\{[^{}]*\}\s*)";

    private const string MatrixBegin = @"\\begin\{(pmatrix|bmatrix|matrix|vmatrix|array)\}(?:\s*(\{[lcr|\s]*\}))?";

    /// <summary>How each sign between two sides may be written; longer ones first.</summary>
    private static readonly (string Written, string Sign)[] s_signs =
    [
        (":=", Relation.Equal), ("<=", Relation.LessOrEqual), (">=", Relation.GreaterOrEqual), ("=", Relation.Equal), ("<", Relation.Less),
        (">", Relation.Greater), (@"\lt", Relation.Less), (@"\gt", Relation.Greater), (@"\le", Relation.LessOrEqual),
        (@"\leq", Relation.LessOrEqual), (@"\leqslant", Relation.LessOrEqual), (@"\ge", Relation.GreaterOrEqual),
        (@"\geq", Relation.GreaterOrEqual), (@"\geqslant", Relation.GreaterOrEqual), (@"\ne", Relation.Unequal),
        (@"\neq", Relation.Unequal), (@"\approx", Relation.Approximately), (@"\equiv", Relation.Approximately),
        (@"\in", Relation.ElementOf),
    ];

    private static readonly string[] s_writtenSigns = [.. s_signs.Select(sign => sign.Written)];

    /// <summary>The answer; null where it is none that can be read.</summary>
    /// <param name="text">LaTeX, as <see cref="LatexSpelling"/> leaves it.</param>
    public static Expression? Read(string text) => text.Length > MostLength ? null : List(text, 0);

    private static Expression? List(string text, int depth)
    {
        if (depth > MostDepth)
        {
            return null;
        }

        List<string> parts = LatexSplit.At(text, ",", ";").Parts;
        if (parts.Count == 1)
        {
            return Item(text, depth);
        }

        return All(parts, part => Item(part, depth)) is { } items ? new Collection(CollectionKind.Set, Flat(items)) : null;
    }

    private static Expression? Item(string text, int depth)
    {
        (List<string> parts, List<string> signs) = LatexSplit.At(text, s_writtenSigns);
        if (signs.Count == 0)
        {
            return Joined(text, depth);
        }

        // x ≡ 3 (mod 7): what is left of it is 3.
        parts[^1] = Modulus.Replace(parts[^1], "");
        IReadOnlyList<Expression>? sides = All(parts, part => Joined(part, depth) ?? Named(part));
        return sides is null ? null : new Relation(
            sides, [.. signs.Select(written => s_signs.First(sign => sign.Written == written).Sign)]);
    }

    /// <summary>The name on the left of an equation, which need not be mathematics.</summary>
    private static Symbol? Named(string text) => PythonText.Strip(text) is { Length: > 0 and < 40 } name ? new("text:" + name) : null;

    private static Expression? Joined(string text, int depth)
    {
        (List<string> parts, List<string> signs) = LatexSplit.At(text, @"\cup", @"\cap");
        if (signs.Count == 0)
        {
            return Single(PythonText.Strip(text), depth);
        }

        bool isUnion = signs.TrueForAll(sign => sign == @"\cup");
        return (isUnion || signs.TrueForAll(sign => sign == @"\cap"))
            && All(parts, part => Single(PythonText.Strip(part), depth)) is { } items
            ? new Collection(isUnion ? CollectionKind.Union : CollectionKind.Intersection, items)
            : null;
    }

    private static Expression? Single(string text, int depth)
    {
        if (text.Length == 0)
        {
            return null;
        }

        if (text is @"\mathbb{R}" or @"\mathbb R" or @"\R")
        {
            Constant infinity = new(ConstantName.Infinity);
            return new Collection(CollectionKind.Interval, [Expression.Negative(infinity), infinity]);
        }

        if (text.StartsWith(LatexWords.Mark, StringComparison.Ordinal) && LatexSplit.IsEnclosed(text[(LatexWords.Mark.Length - 1)..]))
        {
            return new Symbol("text:" + text[LatexWords.Mark.Length..^1].ToLowerInvariant());
        }

        return LatexSplit.IsEnclosed(text) ? Enclosed(text, depth)
            : text.Contains(@"\begin", StringComparison.Ordinal) ? WithMatrix(text, depth)
            : Term(text);
    }

    /// <summary>What stands in one pair of brackets: a set, an interval, a tuple, or only a term.</summary>
    private static Expression? Enclosed(string text, int depth)
    {
        int width = text[0] == '\\' ? 2 : 1;
        string open = text[..width], inside = text[width..^(text.EndsWith(@"\}", StringComparison.Ordinal) ? 2 : 1)];
        List<string> parts = LatexSplit.At(inside, ",", ";").Parts;
        if (open is @"\{" or "{")
        {
            return List(inside, depth + 1) is { } set
                ? open == @"\{" && set is not Collection ? new Collection(CollectionKind.Set, Flat([set])) : set
                : null;
        }

        if (parts.Count == 1)
        {
            return Item(inside, depth + 1) is { } item && depth < MostDepth ? item : null;
        }

        if (All(parts, part => Item(part, depth + 1)) is not { } items || depth > MostDepth)
        {
            return null;
        }

        bool isInterval = items is [var low, var high] && ExpressionEquality.RealValue(low) is { } from
            && ExpressionEquality.RealValue(high) is { } to && from < to;
        bool isMixed = text[0] == '[' != (text[^1] == ']');
        return isInterval ? new Collection(CollectionKind.Interval, items, text[0] == '[', text[^1] == ']')
            : isMixed ? null
            : new Collection(CollectionKind.Tuple, items);
    }

    /// <summary>± stands for two terms; ∓ has the other sign.</summary>
    private static Expression? Term(string text)
    {
        if (!Either.IsMatch(text))
        {
            return Plain(text);
        }

        Expression? upper = Plain(Either.Replace(text, match => match.Groups[1].Value == "pm" ? "+" : "-"));
        Expression? lower = Plain(Either.Replace(text, match => match.Groups[1].Value == "pm" ? "-" : "+"));
        return upper is null || lower is null ? null : new Collection(CollectionKind.Set, [upper, lower]);
    }

    private static Expression? Plain(string text)
    {
        if (text.EndsWith('%'))
        {
            return LatexReader.ReadAll(text[..^1]) is { } value ? new Percent(value) : null;
        }

        // The one function and the names that are read without their backslash, where nothing stands before them.
        Match root = PlainRoot.Match(text);
        return root.Success ? LatexReader.ReadAll($@"{root.Groups[1].Value}\sqrt{{{root.Groups[2].Value}}}")
            : GreekName.IsMatch(text) ? new Symbol(text)
            : LatexReader.ReadAll(text);
    }

    private static Expression? WithMatrix(string text, int depth)
    {
        Match match = MatrixForm.Match(text);
        if (!match.Success || (match.Groups[2].Value == "array") != match.Groups[3].Success)
        {
            return null;
        }

        List<IReadOnlyList<Expression>> rows = [];
        foreach (string row in match.Groups[4].Value.Split(@"\\").Where(row => !string.IsNullOrWhiteSpace(row)))
        {
            if (All(row.Split('&'), cell => Single(PythonText.Strip(cell), depth + 1)) is not { } cells)
            {
                return null;
            }

            rows.Add(cells);
        }

        if (rows.Count == 0 || rows.Exists(row => row.Count != rows[0].Count))
        {
            return null;
        }

        string before = PythonText.Strip(match.Groups[1].Value);
        Expression? factor = before.Length == 0 ? new Number(1) : before == "-" ? new Number(-1) : Plain(before);
        return factor is null ? null
            : match.Groups[2].Value == "vmatrix" ? Determinant(rows) is { } value ? new Product([factor, value]) : null
            : new Matrix([.. rows.Select(row => row.Select(cell => (Expression)new Product([factor, cell])).ToArray())]);
    }

    /// <summary>Along the first row; of four rows at most.</summary>
    private static Expression? Determinant(List<IReadOnlyList<Expression>> rows)
    {
        if (rows.Count != rows[0].Count || rows.Count > 4)
        {
            return null;
        }

        if (rows.Count == 1)
        {
            return rows[0][0];
        }

        List<Expression> terms = [];
        for (int column = 0; column < rows.Count; column++)
        {
            List<IReadOnlyList<Expression>> minor =
                [.. rows.Skip(1).Select(row => row.Where((_, place) => place != column).ToArray())];
            terms.Add(new Product([new Number(column % 2 == 0 ? 1 : -1), rows[0][column], Determinant(minor)!]));
        }

        return new Sum(terms);
    }

    /// <summary>All of them, or nothing.</summary>
    private static List<Expression>? All(IReadOnlyList<string> parts, Func<string, Expression?> read)
    {
        List<Expression> items = new(parts.Count);
        foreach (string part in parts)
        {
            if (read(part) is not { } item)
            {
                return null;
            }

            items.Add(item);
        }

        return items;
    }

    /// <summary>A ± b among the elements are two of them.</summary>
    private static List<Expression> Flat(IReadOnlyList<Expression> items) =>
        [.. items.SelectMany(item => item is Collection { Kind: CollectionKind.Set } set ? set.Items : [item])];

    [GeneratedRegex(@"\\(pm|mp)(?![a-zA-Z])")]
    private static partial Regex Either { get; }

    [GeneratedRegex(@"\\p?mod\s*(\{[^{}]*\}|[0-9]+)\s*\z")]
    private static partial Regex Modulus { get; }

    [GeneratedRegex(@"^(-?)sqrt\(([^()]+)\)\z")]
    private static partial Regex PlainRoot { get; }

    [GeneratedRegex(@"^(alpha|beta|gamma|delta|theta|lambda|mu|phi|omega)\z")]
    private static partial Regex GreekName { get; }

    [GeneratedRegex(MatrixFactor + MatrixBegin + @"(.*)\\end\{\2\}\s*\z", RegexOptions.Singleline)]
    private static partial Regex MatrixForm { get; }
}
