using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Memory;

/// <summary>The model that is to be trained, without a byte of it: all that an estimate needs to know.</summary>
/// <param name="Spec">Its sizes.</param>
/// <param name="Type">What it computes in.</param>
/// <param name="SavedType">What the merged weights are rounded to.</param>
/// <param name="OwnsWeights">
/// Its weights take memory of its own. Not where they are mapped from files in the type to compute in, and not where another model has
/// them.
/// </param>
/// <param name="OnCpu">It is computed on the CPU.</param>
internal sealed record ModelSizes(DecoderSpec Spec, ScalarType Type, ScalarType SavedType, bool OwnsWeights, bool OnCpu)
{
    private readonly Lazy<DecoderLayout> _layout = new(() => CausalLM.Layout(Spec));

    /// <summary>Bytes of a number of the stored type where the files are read whole; 0 where they are mapped.</summary>
    public int ReadSize { get; init; }

    /// <summary>Bytes of all weights in the type to compute in.</summary>
    public long WeightBytes => Values * TypeSize;

    /// <summary>Bytes of the files' weights where they are read whole.</summary>
    public long ReadBytes => Values * ReadSize;

    /// <summary>Bytes of a number of the type to compute in.</summary>
    public int TypeSize => Size(Type);

    /// <summary>What it is multiplied in.</summary>
    public ScalarType MultipliedType => ProductType.Of(Type, OnCpu);

    /// <summary>Bytes of a number of it.</summary>
    public int ProductSize => Size(MultipliedType);

    /// <summary>Every tensor and every projection.</summary>
    public DecoderLayout Layout => _layout.Value;

    private long Values => Layout.Tensors.Values.Sum(Count);

    public static int Size(ScalarType type) => type switch
    {
        ScalarType.Float16 or ScalarType.BFloat16 => 2,
        ScalarType.Float32 => 4,
        _ => 8,
    };

    /// <summary>Values of a shape.</summary>
    public static long Count(long[] shape) => shape.Aggregate(1L, (product, size) => product * size);
}

/// <summary>A micro-batch, in sizes.</summary>
/// <param name="Rows">B.</param>
/// <param name="Width">T: tokens of the longest row; the others are padded to it.</param>
/// <param name="Labels">Tokens that the loss counts.</param>
internal readonly record struct BatchSizes(long Rows, long Width, long Labels)
{
    /// <summary>B · T, padding included.</summary>
    public long Tokens => Rows * Width;
}
