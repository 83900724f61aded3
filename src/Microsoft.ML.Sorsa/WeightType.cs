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

    /// <summary>
    /// As a type to compute in: <see cref="BFloat16"/> where the processor, or the GPU, is faster in it for a model of this size, else
    /// <see cref="Float32"/>. ML.NET's log says which, and why. Another machine may choose otherwise.
    /// </summary>
    Auto,
}
