using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>A reference answer that a grader finds no answer in: a fault of the data, not of the model that is judged.</summary>
public sealed class UnreadableGoldException : FormatException
{
    private const int Shown = 160;

    /// <summary>Names the reference.</summary>
    /// <param name="gold">The reference as it stands in the row.</param>
    /// <param name="grader">The grader's name.</param>
    /// <param name="remedy">What the grader reads, as a sentence without a full stop.</param>
    public UnreadableGoldException(string gold, string grader, string remedy)
        : base($"The grader {grader} finds no answer in the reference '{NameList.Short(gold, Shown)}': {remedy}.") =>
        Gold = gold;

    /// <summary>The reference as it stands in the row.</summary>
    public string Gold { get; }
}
