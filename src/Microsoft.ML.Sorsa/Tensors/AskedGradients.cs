using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>Which of what attention reads take a gradient.</summary>
internal sealed record AskedGradients(bool Query, bool Key, bool Value)
{
    public static AskedGradients Of(Tensor query, Tensor key, Tensor value) =>
        new(query.requires_grad, key.requires_grad, value.requires_grad);
}
