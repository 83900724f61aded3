namespace Microsoft.ML.Sorsa;

/// <summary>How the regularizer of Eq. (9) adds up over the U and Vt of all adapted projections.</summary>
public enum RegularizerReduction
{
    /// <summary>The mean, as in the authors' code; the γ of the paper's tables belong to it.</summary>
    Mean,

    /// <summary>
    /// The sum, as Eq. (9) is written for a single projection; γ must be smaller by twice the number of projections for the same effect.
    /// </summary>
    Sum,
}
