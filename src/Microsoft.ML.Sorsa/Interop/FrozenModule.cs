using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Interop;

/// <summary>
/// A module whose tensors take no gradient, until it is disposed: then they do as before. Those of modules that it does not register are
/// among them: of a tied head of ML.NET GenAI's each step would make a gradient [vocabulary, hidden].
/// </summary>
internal sealed class FrozenModule : IDisposable
{
    private readonly Tensor[] _trained;

    public FrozenModule(nn.Module module)
    {
        _trained = [.. ModuleFields.Tensors(module).Where(tensor => tensor.requires_grad && tensor.is_leaf)];
        Set(false);
    }

    public void Dispose() => Set(true);

    private void Set(bool requiresGrad)
    {
        // One that was moved meanwhile is gone.
        foreach (Tensor tensor in _trained.Where(tensor => !tensor.IsInvalid))
        {
            tensor.requires_grad = requiresGrad;
        }
    }
}
