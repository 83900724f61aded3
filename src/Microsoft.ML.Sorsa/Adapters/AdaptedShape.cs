namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>A projection to adapt.</summary>
/// <param name="Out">Rows of its weight.</param>
/// <param name="In">Columns of it.</param>
/// <param name="TypeSize">Bytes of a number of the type to compute in.</param>
/// <param name="ProductSize">Bytes of a number of the type that it is multiplied in.</param>
/// <param name="OnCpu">It is computed on the CPU.</param>
internal readonly record struct AdaptedShape(long Out, long In, int TypeSize, int ProductSize, bool OnCpu)
{
    /// <summary>Bytes of a number that trains: it is kept in float32 whatever the model computes in.</summary>
    public const int TrainedSize = sizeof(float);

    /// <summary>Values of the weight.</summary>
    public long Count => Out * In;

    /// <summary>What is computed in is narrower than what trains: that is cast on the way.</summary>
    public bool IsNarrow => TypeSize < TrainedSize;

    /// <summary>What is multiplied is converted from what is computed in, and back.</summary>
    public bool IsWidened => ProductSize > TypeSize;

    /// <summary>Bytes of a number where <see cref="WorkingPrecision"/> says what to compute in.</summary>
    public int WorkingSize => OnCpu ? sizeof(double) : TrainedSize;
}
