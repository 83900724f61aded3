namespace Microsoft.ML.Sorsa;

/// <summary>What trains, and how it starts. Data, loss, loop, merge and files are the same for all of them.</summary>
public enum FineTuningMethod
{
    /// <summary>
    /// SORSA (arXiv 2409.00055): singular triplets of W, kept orthonormal. Rank, Alpha, Dropout, Gamma, RegularizerReduction, Triplets,
    /// SliceStart, HardOrthonormality.
    /// </summary>
    Sorsa,

    /// <summary>LoRA (arXiv 2106.09685): W + (α / r) B A. Rank, Alpha, Dropout.</summary>
    Lora,

    /// <summary>Rank-stabilised LoRA (arXiv 2312.03732): W + (α / √r) B A. Rank, Alpha, Dropout.</summary>
    RsLora,

    /// <summary>
    /// PiSSA (arXiv 2404.02948): LoRA that starts from the leading singular triplets, which W loses. Rank, Alpha, Dropout.
    /// </summary>
    Pissa,

    /// <summary>DoRA (arXiv 2402.09353): LoRA on the direction of every row, and a magnitude. Rank, Alpha, Dropout.</summary>
    Dora,

    /// <summary>AdaLoRA (arXiv 2303.10512): W + P Λ Q, pruned to a budget of triplets. Rank, Alpha, Dropout, Gamma, RankBudget.</summary>
    AdaLora,

    /// <summary>Full fine-tuning: every weight of the model.</summary>
    Full,

    /// <summary>Partial fine-tuning: the weights of TargetModules.</summary>
    Partial,

    /// <summary>
    /// GaLore (arXiv 2403.03507): every weight, the targets' by AdamW in a projection of their gradients of low rank, which needs less
    /// memory. Rank, TargetModules, GradientProjection.
    /// </summary>
    GaLore,

    /// <summary>
    /// LISA (arXiv 2403.17919): the weights of a few layers at a time, drawn anew every some steps, and always embeddings and head.
    /// LayerSampling.
    /// </summary>
    Lisa,
}

/// <summary>Which singular triplets of a weight SORSA trains.</summary>
public enum SingularTriplets
{
    /// <summary>Those of the largest singular values, as in the paper.</summary>
    Leading,

    /// <summary>Those of the smallest.</summary>
    Trailing,

    /// <summary>Those from SliceStart on.</summary>
    Slice,
}

/// <summary>How the weight beside the trained part is kept while it trains.</summary>
public enum BaseQuantization
{
    /// <summary>As a matrix of ComputeType.</summary>
    None,

    /// <summary>
    /// In 4-bit NormalFloat with double quantisation (arXiv 2305.14314), about 4.13 bits a value, one layer at a time dequantised. With
    /// SORSA this is the paper's QSORSA, with LoRA it is QLoRA, with PiSSA QPiSSA.
    /// </summary>
    NF4,
}

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
