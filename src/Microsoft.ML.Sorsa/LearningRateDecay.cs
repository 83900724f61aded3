namespace Microsoft.ML.Sorsa;

/// <summary>How the learning rate goes on after the warm-up.</summary>
public enum LearningRateDecay
{
    /// <summary>Half a cosine from the peak to 0, as in the paper.</summary>
    Cosine,

    /// <summary>A straight line from the peak to 0.</summary>
    Linear,

    /// <summary>The peak, to the end.</summary>
    Constant,
}
