namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>What holds several expressions: answers that are more than one number.</summary>
internal enum CollectionKind
{
    /// <summary>Elements without an order: in braces, or with commas alone.</summary>
    Set,

    /// <summary>Entries in their order.</summary>
    Tuple,

    /// <summary>Two ends, the smaller one first.</summary>
    Interval,

    /// <summary>Parts that ∪ joins.</summary>
    Union,

    /// <summary>Parts that ∩ joins.</summary>
    Intersection,
}

/// <param name="Kind">What it is.</param>
/// <param name="Items">The elements, entries, ends or parts.</param>
/// <param name="IsLeftClosed">Whether an interval has its lower end.</param>
/// <param name="IsRightClosed">Whether it has its upper one.</param>
internal sealed record Collection(
    CollectionKind Kind, IReadOnlyList<Expression> Items, bool IsLeftClosed = false, bool IsRightClosed = false) : Expression;

internal sealed record Matrix(IReadOnlyList<IReadOnlyList<Expression>> Rows) : Expression;

/// <summary>A chain such as 1 &lt; x ≤ 2: one sign between each two sides.</summary>
internal sealed record Relation(IReadOnlyList<Expression> Sides, IReadOnlyList<string> Signs) : Expression
{
    public const string Equal = "=", Unequal = "!=", Less = "<", LessOrEqual = "<=", Greater = ">", GreaterOrEqual = ">=",
        Approximately = "~", ElementOf = "in";

    /// <summary>Whether the last side may stand for the whole: x = 5 is 5, and x ∈ [1, 2] is [1, 2].</summary>
    public bool IsAssignment => Signs.All(sign => sign is Equal or Approximately or ElementOf);
}

/// <summary>A percentage: 9 % is 9 or 0.09, whichever the other side is.</summary>
internal sealed record Percent(Expression Value) : Expression;
