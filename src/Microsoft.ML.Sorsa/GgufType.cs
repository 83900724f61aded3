namespace Microsoft.ML.Sorsa;

/// <summary>
/// How a GGUF file holds a model's matrices. Norms and biases are float32 in all of them. The numbers are those of ggml.
/// </summary>
public enum GgufType
{
    /// <summary>32 bits: every weight as it is.</summary>
    F32 = 0,

    /// <summary>16 bits, IEEE 754: values up to 65504.</summary>
    F16 = 1,

    /// <summary>
    /// Blocks of 32 values, each a byte, and the block's scale in 16 bits: 8.5 bits a value. A matrix whose rows are no multiple of 32
    /// values long is F16.
    /// </summary>
    Q8_0 = 8,

    /// <summary>16 bits, the upper half of a float32.</summary>
    BF16 = 30,
}
