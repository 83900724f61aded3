namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>
/// Whether two answers that <see cref="MathReader"/> read mean the same, by math-verify's rules. The sides are not alike.
/// </summary>
internal static class AnswerEquality
{
    private const int Decimals = 6, MostItems = 200;

    public static bool AreEqual(Expression gold, Expression answer)
    {
        (gold, answer) = (Alone(gold), Alone(answer));
        if (gold is Relation first && answer is Relation second)
        {
            return SameRelation(first, second) || (first.IsAssignment && second.IsAssignment && SameElementOf(first, second));
        }

        return (gold, answer) switch
        {
            (Relation { IsAssignment: true } relation, _) => AreEqual(Value(relation), answer),
            (_, Relation { IsAssignment: true } relation) => AreEqual(gold, Value(relation)),
            (Relation relation, Collection set) => Interval(relation) is { } interval && AreEqual(interval, set),
            (Relation, _) or (_, Relation) => false,
            (Collection left, Collection right) => SameCollection(left, right),
            (Collection, _) or (_, Collection) => false,
            (Matrix left, Matrix right) => SameMatrix(left, right),
            (Matrix, _) or (_, Matrix) => false,
            (Percent left, Percent right) => SameTerm(left.Value, right.Value),
            (Percent percent, _) => SameTerm(percent.Value, answer) || SameTerm(Hundredth(percent.Value), answer),
            (_, Percent percent) => SameTerm(gold, percent.Value) || SameTerm(gold, Hundredth(percent.Value)),
            _ => SameTerm(gold, answer),
        };
    }

    /// <summary>A set of one element is that element.</summary>
    private static Expression Alone(Expression value) => value is Collection { Kind: CollectionKind.Set } set
        && set.Items.Count is > 0 and <= MostItems && set.Items.Skip(1).All(item => AreEqual(set.Items[0], item)) ? set.Items[0] : value;

    /// <summary>What an equation says its name is; of an approximation the exact side, where that is no name.</summary>
    private static Expression Value(Relation relation) =>
        relation.Signs.All(sign => sign == Relation.Approximately) && relation.Sides[0] is not Symbol
            ? relation.Sides[0] : relation.Sides[^1];

    private static bool SameElementOf(Relation gold, Relation answer) =>
        gold.Signs[0] == Relation.ElementOf && answer.Signs[0] == Relation.ElementOf
        && AreEqual(gold.Sides[0], answer.Sides[0]) && AreEqual(gold.Sides[^1], answer.Sides[^1]);

    private static bool SameRelation(Relation gold, Relation answer)
    {
        if (gold.Sides.Count != answer.Sides.Count)
        {
            return false;
        }

        return SameChain(gold.Sides, gold.Signs, answer.Sides, answer.Signs)
            || SameChain(gold.Sides, gold.Signs, [.. answer.Sides.Reverse()], [.. answer.Signs.Reverse().Select(Flipped)])
            || (gold.Signs is [Relation.Equal] && answer.Signs is [Relation.Equal]
                && gold.Sides.Concat(answer.Sides).All(IsTerm) && SameSolutions(Difference(gold), Difference(answer)));
    }

    private static bool SameChain(
        IReadOnlyList<Expression> gold, IReadOnlyList<string> goldSigns,
        IReadOnlyList<Expression> answer, IReadOnlyList<string> answerSigns)
    {
        if (!goldSigns.SequenceEqual(answerSigns, StringComparer.Ordinal))
        {
            return false;
        }

        bool sameDifference = gold.Count == 2 && gold.Concat(answer).All(IsTerm)
            && SameTerm(gold[0] - gold[1], answer[0] - answer[1]);
        return sameDifference || gold.Zip(answer).All(sides => AreEqual(sides.First, sides.Second));
    }

    private static bool IsTerm(Expression value) => value is not (Collection or Relation or Matrix or Percent);

    private static Expression Difference(Relation relation) => relation.Sides[0] - relation.Sides[1];

    /// <summary>
    /// Equations whose sides differ by a factor have the same solutions: their quotient is a number wherever it is taken.
    /// </summary>
    private static bool SameSolutions(Expression gold, Expression answer)
    {
        if (SameTerm(gold, Expression.Negative(answer)))
        {
            return true;
        }

        Expression quotient = Expression.Quotient(gold, answer);
        return gold.HasSymbols && answer.HasSymbols
            && new ExactEvaluation(0).Of(quotient) is { IsZero: false } factor
            && ExpressionEquality.AreEqual(gold, new Product([new Number(factor), answer]), isReal: true);
    }

    private static string Flipped(string sign) => sign switch
    {
        Relation.Less => Relation.Greater,
        Relation.LessOrEqual => Relation.GreaterOrEqual,
        Relation.Greater => Relation.Less,
        Relation.GreaterOrEqual => Relation.LessOrEqual,
        _ => sign,
    };

    /// <summary>The interval of a reference's inequality, which may be answered by it.</summary>
    private static Collection? Interval(Relation relation)
    {
        IReadOnlyList<Expression> sides = relation.Sides;
        IReadOnlyList<string> signs = relation.Signs;
        if (signs[0] is Relation.Greater or Relation.GreaterOrEqual)
        {
            (sides, signs) = ([.. sides.Reverse()], [.. signs.Reverse().Select(Flipped)]);
        }

        Constant infinity = new(ConstantName.Infinity);
        bool IsClosed(int place) => signs[place] == Relation.LessOrEqual;
        return !signs.All(sign => sign is Relation.Less or Relation.LessOrEqual) ? null
            : sides is [var low, Symbol, var high] ? new(CollectionKind.Interval, [low, high], IsClosed(0), IsClosed(1))
            : sides is [Symbol, var most] ? new(CollectionKind.Interval, [Expression.Negative(infinity), most], false, IsClosed(0))
            : sides is [var least, Symbol] ? new(CollectionKind.Interval, [least, infinity], IsClosed(0), false)
            : null;
    }

    private static bool SameCollection(Collection gold, Collection answer)
    {
        if (gold.Items.Count > MostItems || answer.Items.Count > MostItems)
        {
            return false;
        }

        return (gold.Kind, answer.Kind) switch
        {
            (CollectionKind.Interval, CollectionKind.Interval) => gold.IsLeftClosed == answer.IsLeftClosed
                && gold.IsRightClosed == answer.IsRightClosed && InOrder(gold.Items, answer.Items),
            (CollectionKind.Tuple, CollectionKind.Tuple) => InOrder(gold.Items, answer.Items),
            (CollectionKind.Interval, CollectionKind.Set) => IsOpen(gold) && AsSets(gold.Items, answer.Items),
            (CollectionKind.Set, CollectionKind.Interval) => IsOpen(answer) && AsSets(gold.Items, answer.Items),
            (CollectionKind.Set, CollectionKind.Tuple) or (CollectionKind.Tuple, CollectionKind.Set) =>
                gold.Items.Count == answer.Items.Count && AsSets(gold.Items, answer.Items),
            _ => gold.Kind == answer.Kind && AsSets(gold.Items, answer.Items),
        };
    }

    private static bool IsOpen(Collection interval) => !interval.IsLeftClosed && !interval.IsRightClosed;

    private static bool InOrder(IReadOnlyList<Expression> gold, IReadOnlyList<Expression> answer) =>
        gold.Count == answer.Count && gold.Zip(answer).All(pair => AreEqual(pair.First, pair.Second));

    private static bool AsSets(IReadOnlyList<Expression> gold, IReadOnlyList<Expression> answer) =>
        gold.All(item => answer.Any(other => AreEqual(item, other))) && answer.All(item => gold.Any(other => AreEqual(other, item)));

    private static bool SameMatrix(Matrix gold, Matrix answer) => gold.Rows.Count == answer.Rows.Count
        && gold.Rows.Zip(answer.Rows).All(rows => InOrder(rows.First, rows.Second));

    private static Expression Hundredth(Expression value) =>
        value is Number number ? new Number(number.Value / 100, IsDecimal: true) : Expression.Quotient(value, new Number(100));

    private static bool SameTerm(Expression gold, Expression answer)
    {
        if (IsWords(gold) || IsWords(answer))
        {
            return Letters(gold) is { } words && words == Letters(answer);
        }

        if ((gold is Number || answer is Number) && (gold is Number { IsDecimal: true } || answer is Number { IsDecimal: true })
            && ExpressionEquality.RealValue(gold) is { } left && ExpressionEquality.RealValue(answer) is { } right)
        {
            return Math.Round(left, Decimals) == Math.Round(right, Decimals);
        }

        return Expression.AreSame(gold, answer) || ExpressionEquality.AreEqual(gold, answer, isReal: true)
            || (ExpressionEquality.RealValue(gold) is { } infinite && double.IsInfinity(infinite)
                && infinite == ExpressionEquality.RealValue(answer));
    }

    private static bool IsWords(Expression value) => value is Symbol symbol && symbol.Name.StartsWith("text:", StringComparison.Ordinal);

    /// <summary>Words without their blanks; a row of letters, which mathematics takes for a product, is the same word.</summary>
    private static string? Letters(Expression value) => value switch
    {
        Symbol symbol when IsWords(symbol) => symbol.Name["text:".Length..].Replace(" ", "", StringComparison.Ordinal),
        Symbol symbol => symbol.Name,
        Constant { Name: ConstantName.E } => "e",
        Product product => product.Factors.Select(Letters).Aggregate((string?)"", (word, letter) =>
            word is null || letter is null ? null : word + letter),
        _ => null,
    };
}
