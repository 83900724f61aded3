using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// Functions in TorchScript: operations of libtorch's that TorchSharp has no method for. They are compiled when the first is called. A
/// number goes in as a <see cref="Scalar"/> that the caller holds: of a plain one TorchSharp makes a native scalar that nothing does (see
/// <see cref="ScalarArithmetic"/>).
/// </summary>
/// <param name="program">The functions; each gives a tensor.</param>
internal sealed class TensorScript(string program) : IDisposable
{
    private readonly Lazy<jit.CompilationUnit> _compiled = new(() => jit.compile(program));

    /// <summary>Calls one; what it gives belongs to the dispose scope that is open.</summary>
    /// <param name="name">The function.</param>
    /// <param name="arguments">Tensors, lists of tensors and scalars.</param>
    public Tensor Call(string name, params object[] arguments)
    {
        if (Array.Find(arguments, argument => argument is not (Tensor or Tensor[] or Scalar)) is { } other)
        {
            throw new ArgumentException(
                $"{name} is given a {other.GetType().Name}; it takes tensors, lists of tensors and scalars that are held.",
                nameof(arguments));
        }

        var result = (Tensor)_compiled.Value.invoke(name, arguments);
        GC.KeepAlive(arguments);
        return result;
    }

    public void Dispose()
    {
        if (_compiled.IsValueCreated)
        {
            _compiled.Value.Dispose();
        }
    }
}
