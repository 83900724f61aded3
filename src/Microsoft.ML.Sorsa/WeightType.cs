using static TorchSharp.torch;

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

/// <summary>From the names of the surface to those of the tensors.</summary>
internal static class WeightTypeExtensions
{
    public static ScalarType ToScalarType(this WeightType type, ScalarType checkpoint) => type switch
    {
        WeightType.Checkpoint => checkpoint,
        WeightType.Float32 => ScalarType.Float32,
        WeightType.Float16 => ScalarType.Float16,
        WeightType.BFloat16 => ScalarType.BFloat16,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Choose one of Checkpoint, Float32, Float16 and BFloat16."),
    };
}
