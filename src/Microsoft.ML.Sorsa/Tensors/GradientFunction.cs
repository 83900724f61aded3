using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// A function of tensors whose gradients are computed here instead of by libtorch. Inside a <see cref="BackwardPass"/> what it gives
/// libtorch is freed at once, and what it throws reaches the caller of backward; outside of one its gradients belong to the dispose scope
/// that is open, and an exception ends the process.
/// </summary>
/// <typeparam name="T">The function itself, which libtorch makes once.</typeparam>
internal abstract class GradientFunction<T> : SingleTensorFunction<T>
    where T : GradientFunction<T>, new()
{
    public sealed override string Name => typeof(T).Name;

    public sealed override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        ctx.set_materialize_grads(false);
        ctx.save_data(nameof(Call), new Call(BackwardPass.Current, vars.Length));
        return Forward(ctx, vars);
    }

    public sealed override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
    {
        var call = (Call)ctx.get_data(nameof(Call));
        if (call.Pass is { } pass)
        {
            return pass.Give(call.Inputs, Compute)!;
        }

        List<Tensor?> gradients = Compute();
        using var scope = NewDisposeScope();
        scope.Attach(gradients.OfType<Tensor>());
        scope.MoveToOuter(gradients.OfType<Tensor>());
        return gradients!;

        List<Tensor?> Compute()
        {
            using var inner = NewDisposeScope();
            inner.Attach(grad_output);

            // Nothing comes where the function behind gave nothing.
            List<Tensor?> computed = grad_output.IsInvalid
                ? [.. Enumerable.Repeat<Tensor?>(null, call.Inputs)]
                : Gradients(ctx, grad_output);
            foreach (Tensor tensor in computed.OfType<Tensor>())
            {
                tensor.DetachFromDisposeScope();
            }

            return computed;
        }
    }

    /// <summary>The output of <see cref="Forward"/>, in the graph; belongs to the dispose scope that is open.</summary>
    protected static Tensor Record(params object[] vars)
    {
        // Each node keeps an empty_like of its output alive as long as the scope it was made in.
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(apply(vars));
    }

    /// <summary>The output, and in the context what its gradients need; both must leave any scope that is opened here.</summary>
    protected abstract Tensor Forward(AutogradContext ctx, object[] vars);

    /// <summary>
    /// The gradient of each input, null where there is none; in a scope that frees the rest. It may run on a thread of libtorch's.
    /// </summary>
    /// <param name="ctx">What forward left.</param>
    /// <param name="gradient">That of the output, of its shape.</param>
    protected abstract List<Tensor?> Gradients(AutogradContext ctx, Tensor gradient);

    private sealed record Call(BackwardPass? Pass, int Inputs);
}
