namespace Microsoft.ML.Sorsa.Data;

/// <summary>One row in tokens: what is only read, then what is learnt.</summary>
/// <param name="Ids">Prompt and response.</param>
/// <param name="PromptLength">How many of them carry no label: the prompt; 0 where all tokens are learnt.</param>
internal sealed record SupervisedExample(int[] Ids, int PromptLength)
{
    /// <summary>
    /// The last token is an end token that counts beside a longer row only, where it stands in for padding:
    /// <see cref="BatchPlan.Collate"/>.
    /// </summary>
    public bool EndsIfPadded { get; init; }

    /// <summary>The tokens that are there in any case: what rows are sorted and compared by.</summary>
    public int Length => EndsIfPadded ? Ids.Length - 1 : Ids.Length;

    /// <summary>
    /// The tokens that the loss counts: all but those of the prompt. (Without a prompt the first has nothing to be predicted from.)
    /// </summary>
    public int LabelCount => Ids.Length - Math.Max(PromptLength, 1);

    /// <summary>The row without what stands behind so many tokens.</summary>
    public SupervisedExample CutTo(int length) => Ids.Length <= length ? this : new SupervisedExample(Ids[..length], PromptLength);
}
