namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>A whole number with a fraction behind it, as people write it and as SymPy does not read it.</summary>
internal static class MixedNumbers
{
    /// <summary>1½ is a sum; two numbers side by side are no product that anybody writes.</summary>
    public static Expression? InProduct(List<Expression> factors)
    {
        for (int i = 0; i + 1 < factors.Count; i++)
        {
            if (factors[i] is Number { IsDecimal: false, Value.IsInteger: true } whole
                && factors[i + 1] is Product { Factors: [Number { Value.IsInteger: true }, Power { Base: Number } inverse] }
                && inverse.Exponent == new Number(-1))
            {
                factors[i] = new Sum([whole, factors[i + 1]]);
                factors.RemoveAt(i + 1);
            }

            if (i + 1 < factors.Count && factors[i] is Number && factors[i + 1] is Number)
            {
                return null;
            }
        }

        return factors.Count == 1 ? factors[0] : new Product(factors);
    }
}
