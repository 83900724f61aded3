using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Checkpoints;

/// <summary>A dtype of the safetensors format.</summary>
/// <param name="Name">As headers write it.</param>
/// <param name="Bits">Of one element.</param>
/// <param name="Type">The same for a tensor here; null where there is none, and the bytes stay what they are.</param>
internal sealed record SafetensorsType(string Name, int Bits, ScalarType? Type)
{
    /// <summary>All of the format's. A file may hold any of them, whether the model needs the tensor or not.</summary>
    private static readonly SafetensorsType[] s_all =
    [
        new("BF16", 16, ScalarType.BFloat16),
        new("BOOL", 8, ScalarType.Bool),
        new("C64", 64, ScalarType.ComplexFloat32),
        new("F16", 16, ScalarType.Float16),
        new("F32", 32, ScalarType.Float32),
        new("F4", 4, null),
        new("F64", 64, ScalarType.Float64),
        new("F6_E2M3", 6, null),
        new("F6_E3M2", 6, null),
        new("F8_E4M3", 8, null),
        new("F8_E4M3FNUZ", 8, null),
        new("F8_E5M2", 8, null),
        new("F8_E5M2FNUZ", 8, null),
        new("F8_E8M0", 8, null),
        new("I16", 16, ScalarType.Int16),
        new("I32", 32, ScalarType.Int32),
        new("I64", 64, ScalarType.Int64),
        new("I8", 8, ScalarType.Int8),
        new("U16", 16, null),
        new("U32", 32, null),
        new("U64", 64, null),
        new("U8", 8, ScalarType.Byte),
    ];

    /// <summary>A weight can have it.</summary>
    public bool IsWeight => Type is ScalarType.Float64 or ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16;

    /// <summary>The names of all, for messages.</summary>
    public static string Names => string.Join(", ", s_all.Select(type => type.Name));

    public static SafetensorsType? Find(string name) => Array.Find(s_all, type => type.Name == name);

    /// <exception cref="NotSupportedException">The format has no such type.</exception>
    public static SafetensorsType Of(ScalarType type) => Array.Find(s_all, known => known.Type == type)
        ?? throw new NotSupportedException($"A tensor of type {type} cannot be written to safetensors; the format has {Names}.");
}
