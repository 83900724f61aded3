using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Interop;

/// <summary>A module whose tensors take no gradient, until it is disposed: then they do as before.</summary>
internal sealed class FrozenModule : IDisposable
{
    private readonly Tensor[] _trained;

    public FrozenModule(nn.Module module)
    {
        _trained = [.. module.parameters().Concat(module.buffers()).Where(tensor => tensor.requires_grad)];
        Set(false);
    }

    public void Dispose() => Set(true);

    private void Set(bool requiresGrad)
    {
        foreach (Tensor tensor in _trained)
        {
            tensor.requires_grad = requiresGrad;
        }
    }
}
