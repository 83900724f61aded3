using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Gguf;

/// <summary>A tensor of a GGUF file.</summary>
/// <param name="Name">In the file.</param>
/// <param name="Values">Read where they lie, whatever their type and device; not owned.</param>
/// <param name="Type">What the file holds them in.</param>
/// <param name="HeadDim">
/// d where the rows are those of heads of queries or keys, which the file has in another order: see <see cref="TensorBytes"/>. Null: the
/// rows stay where they are.
/// </param>
internal sealed record GgufTensor(string Name, Tensor Values, GgufType Type, int? HeadDim = null)
{
    /// <summary>Values in a block of <see cref="GgufType.Q8_0"/>.</summary>
    public const int BlockValues = 32;

    /// <summary>Its bytes: the scale and the values.</summary>
    public const int BlockBytes = 2 + BlockValues;

    /// <summary>What its values take in the file.</summary>
    public long ByteCount => BytesOf(Values.numel(), Type);

    /// <summary>What a file of this type holds a matrix or a vector in.</summary>
    public static GgufType TypeOf(long[] shape, GgufType type) =>
        shape.Length == 1 ? GgufType.F32
        : type == GgufType.Q8_0 && shape[^1] % BlockValues != 0 ? GgufType.F16
        : type;

    /// <summary>What so many values take.</summary>
    public static long BytesOf(long values, GgufType type) => type switch
    {
        GgufType.F32 => 4 * values,
        GgufType.Q8_0 => values / BlockValues * BlockBytes,
        _ => 2 * values,
    };
}
