using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// A forward and its backward, for functions whose gradients are computed here (<see cref="GradientFunction{T}"/>). On a GPU libtorch asks
/// for these on a thread of its own: no dispose scope is open there, so that nobody would free what it is given before the collector does,
/// and an exception would end the process. What it is given is therefore kept here for no longer than it needs to take it over, and what
/// goes wrong is thrown where backward was called. One is open on the thread that computes forward, from before it until after backward.
/// </summary>
internal sealed class BackwardPass : IDisposable
{
    [ThreadStatic]
    private static BackwardPass? s_current;

    private readonly BackwardPass? _outer = s_current;

    /// <summary>What each thread gave to libtorch last.</summary>
    private readonly ConcurrentDictionary<int, IReadOnlyList<Tensor?>> _given = new();

    /// <summary>A graph that is older than whatever forward makes: libtorch comes to it last.</summary>
    private readonly Tensor _oldest;

    private ExceptionDispatchInfo? _failure;

    public BackwardPass()
    {
        using var scope = NewDisposeScope();
        using (enable_grad())
        {
            _oldest = zeros([], requires_grad: true).alias().DetachFromDisposeScope();
        }

        s_current = this;
    }

    /// <summary>The one that is open on this thread; null: none.</summary>
    public static BackwardPass? Current => s_current;

    /// <summary>Adds the gradients of an output's function to those of what trains.</summary>
    /// <param name="output">What forward gave, of any shape.</param>
    /// <param name="gradient">∂L / ∂output, of the same shape.</param>
    /// <exception cref="Exception">What a gradient threw, the first of them.</exception>
    public void Run(Tensor output, Tensor gradient)
    {
        try
        {
            autograd.backward(output, gradient);
        }
        catch
        {
            // What was still to do waits in the thread's queue, the graph with it, until something that comes behind it is asked for.
            _oldest.backward();
            throw;
        }
        finally
        {
            ReleaseAll();
        }

        _failure?.Throw();
    }

    /// <summary>
    /// Computes gradients on a thread of libtorch's, to which nothing is thrown: after a failure there are no more gradients.
    /// </summary>
    /// <param name="count">How many libtorch expects.</param>
    /// <param name="gradients">Gives them, in tensors that no scope owns; null where there is none.</param>
    public List<Tensor?> Give(int count, Func<List<Tensor?>> gradients)
    {
        BackwardPass? outer = s_current;
        s_current = this;
        try
        {
            // libtorch has taken over what this thread gave before: it would not be here otherwise.
            Release();
            List<Tensor?> given = _failure is null ? gradients() : Nothing();
            Release();
            _given[Environment.CurrentManagedThreadId] = given;
            return given;
        }
        catch (Exception failure)
        {
            _failure ??= ExceptionDispatchInfo.Capture(failure);
            return Nothing();
        }
        finally
        {
            s_current = outer;
        }

        List<Tensor?> Nothing() => [.. Enumerable.Repeat<Tensor?>(null, count)];
    }

    public void Dispose()
    {
        s_current = _outer;
        _oldest.Dispose();
        ReleaseAll();
    }

    /// <summary>Frees what this thread gave.</summary>
    private void Release()
    {
        if (_given.TryRemove(Environment.CurrentManagedThreadId, out IReadOnlyList<Tensor?>? given))
        {
            Free(given);
        }
    }

    /// <summary>Frees what every thread gave, which needs it no more.</summary>
    private void ReleaseAll()
    {
        foreach (int thread in _given.Keys)
        {
            if (_given.TryRemove(thread, out IReadOnlyList<Tensor?>? given))
            {
                Free(given);
            }
        }
    }

    private static void Free(IReadOnlyList<Tensor?> tensors)
    {
        foreach (Tensor? tensor in tensors)
        {
            tensor?.Dispose();
        }
    }
}
