using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// A decoding step on a CPU: a token each of few texts, and no gradient. Asking libtorch for an operation takes longer there than the
/// operation, and its products wait for memory. What is done with such rows is computed here, in float32, and rounded where libtorch
/// rounds. A row's values do not depend on how many others there are.
/// </summary>
internal static class FewRows
{
    /// <summary>With more of them a step is bound by arithmetic, and libtorch is faster.</summary>
    public const int Most = 16;

    /// <summary>Whether these are such rows: there is no gradient of them, and a row is not many tokens of one text.</summary>
    /// <param name="x">[texts, n] or [texts, 1, ...].</param>
    public static bool Are(Tensor x) => AreOfFewTexts(x) && (x.dim() < 3 || x.size(1) == 1);

    /// <summary>Whether there are few texts and no gradient, on a CPU, in a type that is computed with here.</summary>
    /// <param name="x">[texts, ...].</param>
    public static bool AreOfFewTexts(Tensor x) =>
        // First, since every operation of a training comes by here.
        !is_grad_enabled()
        && TensorData.IsReadable(x.dtype, x.device_type == DeviceType.CPU)
        && x.dim() > 0 && x.size(0) <= Most;
}
