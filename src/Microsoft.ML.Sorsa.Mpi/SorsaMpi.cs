using System.Buffers;
using System.Globalization;
using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Mpi;

/// <summary>
/// The processes that mpirun started, as the ranks of a training: <c>Options.Ranks</c> takes it. Made by <see cref="Initialize"/> at the
/// start of the program and disposed at its end, on every rank.
/// <code>
/// using SorsaMpi mpi = SorsaMpi.Initialize();
/// options.Ranks = mpi;
/// </code>
/// Sums are the same bits from run to run: each rank adds one part of the values, in the order of the ranks, and sends it to the others.
/// </summary>
public sealed class SorsaMpi : ITrainingRanks, IDisposable
{
    /// <summary>
    /// Bytes that each rank sends to each other one at a time: enough for a wire, and few enough to stay in a processor's cache from one
    /// copy to the next.
    /// </summary>
    private const int LargestPiece = 1 << 20;

    private readonly Lock _turn = new();
    private readonly MpiLibrary? _library;
    private readonly string _name;
    private bool _isOver, _isDisposed;

    private SorsaMpi(MpiLibrary? library, string name)
    {
        (_library, _name) = (library, name);
        (Rank, Count) = library is null ? (0, 1) : (library.Rank, library.Count);
    }

    /// <inheritdoc/>
    public int Rank { get; }

    /// <inheritdoc/>
    public int Count { get; }

    /// <summary>
    /// The number of this process among those on the same machine, from 0: the GPU to take, as
    /// <c>mlContext.GpuDeviceId = mpi.LocalRank</c>.
    /// </summary>
    public int LocalRank { get; private set; }

    /// <summary>
    /// Joins the processes that mpirun, mpiexec or srun started; one that none of them started is alone, and needs no MPI. Ranks on one
    /// machine share its processors: each computes with its part of the threads, unless OMP_NUM_THREADS or MKL_NUM_THREADS is set. Once in
    /// a process, before anything is trained.
    /// </summary>
    /// <param name="library">
    /// The MPI library's file, or a name that the system's loader finds; null: that of the launcher, Open MPI's libmpi.so.40 or MPICH's
    /// libmpich.so.12.
    /// </param>
    /// <exception cref="DllNotFoundException">There is no such library; the message names the packages.</exception>
    /// <exception cref="NotSupportedException">The library is neither Open MPI nor MPICH and its kin, or has no threads.</exception>
    /// <exception cref="InvalidOperationException">The library is another product than the launcher, so that nobody is found.</exception>
    public static SorsaMpi Initialize(string? library = null)
    {
        if (Launcher.Of(Environment.GetEnvironmentVariable) is not { } launcher)
        {
            return new SorsaMpi(null, "started without mpirun");
        }

        MpiLibrary loaded = MpiLibrary.Load(library, launcher);
        loaded.Initialize();
        var ranks = new SorsaMpi(loaded, loaded.Name);
        if (launcher.Size is { } size && size != ranks.Count)
        {
            loaded.Finish();
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture,
                $"{launcher.Name} started {size} processes, and the MPI library ({loaded.Name}) finds {ranks.Count}: launcher and library ")
                + "are not of the same product. Start with that library's mpirun, or name the other one: SorsaMpi.Initialize(library).");
        }

        string here = Environment.MachineName, processors = RankThreads.Processors;
        string[][] places = [.. ((ITrainingRanks)ranks).Gather(Encoding.UTF8.GetBytes($"{here}\n{processors}"))
            .Select(place => Encoding.UTF8.GetString(place).Split('\n'))];
        ranks.LocalRank = places.Take(ranks.Rank).Count(place => place[0] == here);
        RankThreads.Share(places.Count(place => place[0] == here && place[1] == processors));
        return ranks;
    }

    /// <inheritdoc/>
    void ITrainingRanks.Sum(Span<float> values) => Sum(values);

    /// <inheritdoc/>
    void ITrainingRanks.Sum(Span<double> values) => Sum(values);

    /// <inheritdoc/>
    void ITrainingRanks.Broadcast(Span<byte> values)
    {
        const int Most = 1 << 28;
        using Lock.Scope turn = _turn.EnterScope();
        RequireAll();
        for (; values.Length > 0; values = values[Math.Min(Most, values.Length)..])
        {
            _library?.Broadcast(values[..Math.Min(Most, values.Length)]);
        }
    }

    /// <inheritdoc/>
    IReadOnlyList<byte[]> ITrainingRanks.Gather(ReadOnlySpan<byte> message)
    {
        using Lock.Scope turn = _turn.EnterScope();
        RequireAll();
        return Gather(message);
    }

    /// <inheritdoc/>
    void ITrainingRanks.Abort(string message)
    {
        using Lock.Scope turn = _turn.EnterScope();
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Rank {Rank} of {Count} ends them all. {message}"));
        Console.Error.Flush();
        _library?.Abort(exitCode: 1);
    }

    /// <summary>The rank, how many there are, the library and the threads.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"rank {Rank} of {Count}, {_name}, threads: {torch.get_num_threads()}");

    /// <summary>
    /// Leaves the others: waits until all of them are here. One that still wants to train hears that this one does not.
    /// </summary>
    public void Dispose()
    {
        if (_isDisposed)
        {
            return;
        }

        using Lock.Scope turn = _turn.EnterScope();
        if (!_isOver && Count > 1)
        {
            Gather([]);
        }

        _library?.Finish();
        _isDisposed = true;
    }

    /// <summary>Every rank adds its part of the values, in the order of the ranks.</summary>
    private void Sum<T>(Span<T> values)
        where T : unmanaged, INumber<T>
    {
        using Lock.Scope turn = _turn.EnterScope();
        RequireAll();
        if (Count == 1)
        {
            return;
        }

        int size = Marshal.SizeOf<T>();
        int part = Math.Min((values.Length + Count - 1) / Count, LargestPiece / size), block = part * Count;
        T[] sent = ArrayPool<T>.Shared.Rent(block), received = ArrayPool<T>.Shared.Rent(block);
        for (; values.Length > 0; values = values[Math.Min(block, values.Length)..])
        {
            Span<T> now = values[..Math.Min(block, values.Length)], from = sent.AsSpan(0, block), to = received.AsSpan(0, block);
            now.CopyTo(from);
            from[now.Length..].Clear();
            _library!.AllToAll(MemoryMarshal.AsBytes(from), MemoryMarshal.AsBytes(to), part * size);
            Span<T> sum = to[..part];
            for (int rank = 1; rank < Count; rank++)
            {
                TensorPrimitives.Add(sum, to.Slice(rank * part, part), sum);
            }

            _library.AllGather(MemoryMarshal.AsBytes(sum), MemoryMarshal.AsBytes(from));
            from[..now.Length].CopyTo(now);
        }

        ArrayPool<T>.Shared.Return(sent);
        ArrayPool<T>.Shared.Return(received);
    }

    private byte[][] Gather(ReadOnlySpan<byte> message)
    {
        if (Count == 1)
        {
            return [message.ToArray()];
        }

        int[] lengths = new int[Count];
        _library!.AllGather(MemoryMarshal.AsBytes<int>([message.Length]), MemoryMarshal.AsBytes(lengths.AsSpan()));
        int longest = lengths.Max();
        byte[] padded = new byte[longest], all = new byte[longest * Count];
        message.CopyTo(padded);
        if (longest > 0)
        {
            _library.AllGather(padded, all);
        }

        _isOver = lengths.Contains(0);
        return [.. lengths.Select((length, rank) => all.AsSpan(longest * rank, length).ToArray())];
    }

    /// <summary>Nobody waits for a rank that will not come.</summary>
    private void RequireAll()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (_isOver)
        {
            throw new InvalidOperationException(
                "Another rank has left already: it disposed of its SorsaMpi, so that nothing can be trained together any more. Start all "
                + "ranks again, and let each of them call Fit as often as the others.");
        }
    }
}
