using System.Runtime.ExceptionServices;
using TorchSharp.Modules;
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
    /// <summary>Values that small blocks may take of a place that is free, before a large one is asked for.</summary>
    private const int Margin = 4096;

    public sealed override string Name => typeof(T).Name;

    public sealed override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        var call = (Call)vars[^1];
        ctx.set_materialize_grads(false);
        ctx.save_data(nameof(Call), call);
        try
        {
            Tensor output = Forward(ctx, vars);

            // TorchSharp makes one of the same size next, and must not be the first whom memory fails.
            empty(output.numel() + Margin, output.dtype, output.device).Dispose();
            return output;
        }
        catch (Exception failure)
        {
            // TorchSharp never frees a node whose forward threw, nor libtorch the graph behind it. So the node is finished, and goes as
            // others do.
            call.Failure = ExceptionDispatchInfo.Capture(failure);
            ctx.save_for_backward([]);
            return empty(0);
        }
    }

    public sealed override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
    {
        var call = (Call)ctx.get_data(nameof(Call));
        using var scope = NewDisposeScope();
        scope.Attach(grad_output);
        if (call.Pass is { } pass)
        {
            return pass.Give(call.Inputs.Count, Compute)!;
        }

        List<Tensor?> gradients = Compute();
        scope.Attach(gradients.OfType<Tensor>());
        scope.MoveToOuter(gradients.OfType<Tensor>());
        return gradients!;

        List<Tensor?> Compute()
        {
            // Nothing comes where the function behind gave nothing. The call itself has no gradient.
            List<Tensor?> computed = grad_output.IsInvalid
                ? [.. Enumerable.Repeat<Tensor?>(null, call.Inputs.Count)]
                : [.. Gradients(ctx, grad_output), null];
            computed = call.Pass is null ? computed : LeafGradients.Accumulate(computed, call.Inputs);
            foreach (Tensor tensor in computed.OfType<Tensor>())
            {
                tensor.DetachFromDisposeScope();
            }

            // What forward saved goes now, as libtorch's own functions have it, and not with the whole graph.
            ctx.Dispose();
            return computed;
        }
    }

    /// <summary>The output of <see cref="Forward"/>, in the graph; belongs to the dispose scope that is open.</summary>
    protected static Tensor Record(params object[] vars)
    {
        // Each node keeps an empty_like of its output alive as long as the scope it was made in.
        using var scope = NewDisposeScope();
        var call = new Call(BackwardPass.Current, [.. vars.Select(input => input as Parameter), null]);
        Tensor output = apply([.. vars, call]);
        call.Failure?.Throw();
        return scope.MoveToOuter(output);
    }

    /// <summary>The output, and in the context what its gradients need; both must leave any scope that is opened here.</summary>
    protected abstract Tensor Forward(AutogradContext ctx, object[] vars);

    /// <summary>
    /// The gradient of each input, null where there is none; in a scope that frees the rest. That of a parameter may be kept as its Grad:
    /// no part of what else is read. It may run on a thread of libtorch's.
    /// </summary>
    /// <param name="ctx">What forward left.</param>
    /// <param name="gradient">That of the output, of its shape.</param>
    protected abstract List<Tensor?> Gradients(AutogradContext ctx, Tensor gradient);

    /// <param name="Pass">The one that was open.</param>
    /// <param name="Inputs">What takes its gradient itself, at its place among all inputs; null for others.</param>
    private sealed record Call(BackwardPass? Pass, IReadOnlyList<Parameter?> Inputs)
    {
        public ExceptionDispatchInfo? Failure { get; set; }
    }
}
