using System.Runtime.InteropServices;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>What libtorch says of memory.</summary>
internal static class TorchMemory
{
    /// <summary>
    /// What stands in its errors where an allocator had no more: on Linux, on Windows, on a GPU, in a library on it (cuBLAS, cuSOLVER).
    /// </summary>
    private static readonly string[] s_messages =
        ["can't allocate memory", "not enough memory", "out of memory", "_STATUS_ALLOC_FAILED"];

    /// <summary>Whether libtorch failed for want of memory. TorchSharp throws the same type for all of its errors.</summary>
    public static bool IsExhausted(Exception failure) => failure is ExternalException
        && s_messages.Any(message => failure.Message.Contains(message, StringComparison.OrdinalIgnoreCase));
}
