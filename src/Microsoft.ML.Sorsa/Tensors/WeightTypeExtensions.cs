using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

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
