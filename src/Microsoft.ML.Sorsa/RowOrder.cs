namespace Microsoft.ML.Sorsa;

/// <summary>In which order a training goes through its rows.</summary>
public enum RowOrder
{
    /// <summary>
    /// Another order in every epoch, from the seed; rows of similar length stand together, in steps that come in any order, so that little
    /// is padded and nothing depends on how the data are sorted.
    /// </summary>
    Shuffled,

    /// <summary>
    /// The data's own order, the same in every epoch: each step takes the rows that come next. For data whose order is meant, such as from
    /// easy to hard, and for comparing with a program that does not shuffle.
    /// </summary>
    AsGiven,

    /// <summary>
    /// The data's own order in buckets of 20 batches, 20 × BatchSize rows; within each the longest rows come first, by their tokens without
    /// an end token that is only learnt where it is padding, and rows of one length stay in the data's order. The same in every epoch. For
    /// comparing with PEFT's method comparison, which does so with batches of 4; otherwise it is as AsGiven with less padding.
    /// </summary>
    SortedBuckets,
}
