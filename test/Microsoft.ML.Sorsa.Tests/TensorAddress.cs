using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests;

internal static class TensorAddress
{
    /// <summary>Where a contiguous tensor's first byte stands in memory.</summary>
    public static nint Of(Tensor tensor) => Unsafe.ByteOffset(ref Unsafe.NullRef<byte>(), ref MemoryMarshal.GetReference(tensor.bytes));
}
