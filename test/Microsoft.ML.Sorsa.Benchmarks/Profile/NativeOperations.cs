using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Sorsa.Benchmarks.Profile;

/// <summary>
/// Every operation that libtorch computes while one of these is there, forward and backward, on whatever thread: what PyTorch's profiler
/// listens to, reached through the names that libtorch's C++ interface (ATen/record_function.h, version 2.10) exports on Linux. TorchSharp
/// has no way to it.
/// </summary>
internal sealed unsafe class NativeOperations : IDisposable
{
    private const string Library = "torch_cpu";

    /// <summary>at::RecordFunction::sequence_nr_, by which a backward finds its forward.</summary>
    private const int SequenceOffset = 200;

    private static NativeOperations? s_current;

    [ThreadStatic]
    private static Stack<RecordedOperation>? s_open;

    private readonly Action<RecordedOperation> _ended;
    private readonly ulong _operations;
    private readonly ulong _nodes;

    /// <param name="ended">Told of each when it is over, on its thread; what it has come after what is inside of it.</param>
    public NativeOperations(Action<RecordedOperation> ended)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new PlatformNotSupportedException("The names of libtorch's C++ interface are known here for Linux alone: run it there.");
        }

        _ended = ended;
        s_current = this;
        _operations = AddGlobalCallback(Callback(&Began, scope: 0));
        _nodes = AddGlobalCallback(Callback(&NodeBegan, scope: 1));
    }

    /// <summary>The <see cref="RecordedOperation.Sequence"/> of the node that this thread makes next.</summary>
    public static long NextNode => (long)PeekSequence();

    public void Dispose()
    {
        RemoveCallback(_operations);
        RemoveCallback(_nodes);
        s_current = null;
    }

    private static RecordFunctionCallback Callback(delegate* unmanaged<nint, nint, nint> began, int scope)
    {
        var callback = new RecordFunctionCallback { Start = (nint)began, End = (nint)(delegate* unmanaged<nint, nint, void>)&Ended };
        callback.Sampling = 1;
        callback.Flags[scope] = 1;
        return callback;
    }

    /// <summary>Gives the empty std::unique_ptr that libtorch has made room for.</summary>
    [UnmanagedCallersOnly]
    private static nint Began(nint result, nint function) => Begin(result, function, isNode: false);

    [UnmanagedCallersOnly]
    private static nint NodeBegan(nint result, nint function) => Begin(result, function, isNode: true);

    private static nint Begin(nint result, nint function, bool isNode)
    {
        *(nint*)result = 0;
        Stack<RecordedOperation> open = s_open ??= new Stack<RecordedOperation>();
        RecordedOperation? outer = open.TryPeek(out RecordedOperation? last) ? last : null;
        open.Push(new RecordedOperation(
            Marshal.PtrToStringUTF8(Name(function)) ?? "", isNode, *(long*)(function + SequenceOffset), outer));
        return result;
    }

    [UnmanagedCallersOnly]
    private static void Ended(nint function, nint context)
    {
        if (s_open is { Count: > 0 } open)
        {
            RecordedOperation operation = open.Pop();
            operation.End();
            s_current?._ended(operation);
        }
    }

    [DllImport(Library, EntryPoint = "_ZN2at17addGlobalCallbackENS_22RecordFunctionCallbackE")]
    private static extern ulong AddGlobalCallback(RecordFunctionCallback callback);

    [DllImport(Library, EntryPoint = "_ZN2at14removeCallbackEm")]
    private static extern void RemoveCallback(ulong handle);

    [DllImport(Library, EntryPoint = "_ZN2at15sequence_number4peekEv")]
    private static extern ulong PeekSequence();

    [DllImport(Library, EntryPoint = "_ZNK2at14RecordFunction4nameEv")]
    private static extern nint Name(nint function);

    /// <summary>at::RecordFunctionCallback: what is called, how often, a flag for each scope, and what else it wants to know.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct RecordFunctionCallback
    {
        public nint Start;
        public nint End;
        public double Sampling;
        public ScopeFlags Flags;
    }

    [InlineArray(16)]
    private struct ScopeFlags
    {
        private byte _first;
    }
}

/// <summary>An operation, or a node of the backward graph, which is what its operations are inside of.</summary>
/// <param name="name">Such as aten::mm, or MmBackward0.</param>
/// <param name="isNode">It is a node.</param>
/// <param name="sequence">A node's number, in the order in which its thread made them.</param>
/// <param name="outer">What it is inside of; null: nothing.</param>
internal sealed class RecordedOperation(string name, bool isNode, long sequence, RecordedOperation? outer)
{
    private static readonly HashSet<string> s_views =
    [
        .. new[]
        {
            "view", "_unsafe_view", "reshape", "_reshape_alias", "as_strided", "transpose", "t", "numpy_T", "permute", "expand",
            "expand_as", "squeeze", "unsqueeze", "narrow", "slice", "select", "diagonal", "chunk", "split", "unbind", "flatten",
            "unflatten", "alias", "detach", "detach_", "to", "contiguous", "item", "empty", "empty_like", "empty_strided", "new_empty",
            "new_empty_strided", "resize_", "set_", "view_as_real", "view_as_complex", "result_type", "is_nonzero", "lift_fresh",
            "resolve_conj", "resolve_neg", "requires_grad_", "can_cast", "set_data", "record_stream",
        }.Select(view => "aten::" + view),
        "detach", "detach_",
    ];

    private readonly long _begun = Stopwatch.GetTimestamp();
    private long _inner;
    private bool _hasComputed;

    public string Name => name;

    public bool IsNode => isNode;

    public long Sequence => sequence;

    /// <summary>Its own time, without that of operations inside of it.</summary>
    public double Milliseconds { get; private set; }

    /// <summary>
    /// It computes by itself, so that a GPU starts a kernel: it is no view, no allocation, and nothing inside of it computes.
    /// </summary>
    public bool Computes { get; private set; }

    /// <summary>The host waits for a number.</summary>
    public bool Waits => name == "aten::_local_scalar_dense" && !IsInList;

    /// <summary>The node that it is inside of, or that it is.</summary>
    public RecordedOperation? Node => isNode ? this : outer?.Node;

    /// <summary>It is of backward: a node, what is inside of one, or what libtorch does around it.</summary>
    public bool IsBackward =>
        isNode || name.StartsWith("autograd::engine", StringComparison.Ordinal) || outer is { IsBackward: true };

    /// <summary>It is over a list of tensors, which a GPU computes in one: a CPU does one after the other.</summary>
    private bool IsList =>
        name.StartsWith("aten::_foreach", StringComparison.Ordinal) || name.StartsWith("aten::_fused_adamw", StringComparison.Ordinal);

    private bool IsInList => outer is not null && (outer.IsList || outer.IsInList);

    public void End()
    {
        long time = Stopwatch.GetTimestamp() - _begun;
        Milliseconds = (time - _inner) * 1e3 / Stopwatch.Frequency;
        Computes = !isNode && !IsInList && (IsList
            || (name.StartsWith("aten::", StringComparison.Ordinal) && !_hasComputed && !s_views.Contains(name)));
        if (outer is not null)
        {
            outer._inner += time;
            outer._hasComputed |= _hasComputed || Computes;
        }
    }
}
