namespace Microsoft.ML.Sorsa;

/// <summary>The type of a model's weights.</summary>
public enum WeightType
{
    /// <summary>What the checkpoint is stored in.</summary>
    Checkpoint,

    /// <summary>32 bits.</summary>
    Float32,

    /// <summary>16 bits, IEEE 754: 5 of exponent.</summary>
    Float16,

    /// <summary>16 bits, the upper half of a float32: 8 of exponent.</summary>
    BFloat16,
}
