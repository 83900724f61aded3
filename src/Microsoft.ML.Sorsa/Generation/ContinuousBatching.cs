using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>
/// Decodes the texts of all callers together, on one thread of its own (continuous batching: Yu et al., Orca, OSDI 2022). Between two
/// tokens new texts are admitted, first come first, while there is room; finished and cancelled ones leave. A text that needs another
/// adapter than those under way waits until these are done, and those behind it wait, too: nobody is overtaken.
/// </summary>
/// <remarks>
/// The thread is there while there are texts, and some seconds longer. What goes wrong with one text its caller gets; what goes wrong with
/// a step, all whose texts are in it; whatever else goes wrong, everybody who waits.
/// </remarks>
internal sealed class ContinuousBatching : IDisposable
{
    /// <summary>Prompt tokens that are read between two steps: so long do those under way wait for a new one.</summary>
    private const int PromptTokens = 512;

    /// <summary>For so many tokens behind the longest text memory is taken at a time.</summary>
    private const int Room = 64;

    private static readonly TimeSpan s_idle = TimeSpan.FromSeconds(5);

    private readonly SharedModel _model;
    private readonly int _batchSize;
    private readonly Type _owner;
    private readonly PrefixCache _prefixes;

    // Behind the gate.
    private readonly object _gate = new();
    private readonly List<GenerationRequest> _new = [];
    private Thread? _thread;
    private bool _disposed;

    // The decoding thread's: a text waits, is admitted, read and decoded.
    private readonly Queue<GenerationRequest> _waiting = [];
    private readonly List<GenerationRequest> _admitted = [];
    private (GenerationRequest[] Requests, IPromptReading Prompts)? _read;
    private readonly Dictionary<GenerationRow, GenerationRequest> _decoded = [];
    private GenerationBatch? _batch;

    /// <param name="model">Not owned.</param>
    /// <param name="batchSize">Texts that are decoded together at most.</param>
    /// <param name="keptTokens">See <see cref="PrefixCache"/>.</param>
    /// <param name="owner">Whose it is, for errors.</param>
    public ContinuousBatching(SharedModel model, int batchSize, int keptTokens, Type owner)
    {
        _model = model;
        _batchSize = model.Model.RowsAreIndependent ? batchSize : 1;
        _owner = owner;
        _prefixes = new PrefixCache(keptTokens);
    }

    /// <summary>Lines a text up.</summary>
    /// <param name="row">Has a text; it belongs to the decoding thread from now on.</param>
    /// <param name="adapter">Says with which adapter, when the text's turn has come.</param>
    /// <param name="cancellationToken">Takes it out again, between two tokens.</param>
    public GenerationRequest Start(GenerationRow row, Func<string?> adapter, CancellationToken cancellationToken)
    {
        var request = new GenerationRequest(row, adapter, cancellationToken);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, _owner);
            _new.Add(request);
            if (_thread is null)
            {
                _thread = new Thread(Run) { IsBackground = true, Name = _owner.Name };
                _thread.Start();
            }

            Monitor.Pulse(_gate);
        }

        return request;
    }

    /// <summary>Ends the thread. Whoever still waits gets an <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose()
    {
        Thread? thread;
        lock (_gate)
        {
            _disposed = true;
            thread = _thread;
            Monitor.Pulse(_gate);
        }

        thread?.Join();
        _prefixes.Dispose();
    }

    private void Run()
    {
        try
        {
            while (Receive())
            {
                Drop();
                Admit();
                Advance();
            }
        }
        catch (Exception error)
        {
            // A fault of this class: nobody may wait for ever. The next text starts another thread.
            FailAll(error);
        }
    }

    private int UnderWay => _admitted.Count + (_read?.Requests.Length ?? 0) + _decoded.Count;

    /// <summary>Takes what is new, and waits where there is nothing to do; false: it stays so, and the thread ends.</summary>
    private bool Receive()
    {
        lock (_gate)
        {
            while (!_disposed && UnderWay + _waiting.Count + _new.Count == 0)
            {
                if (!Monitor.Wait(_gate, s_idle))
                {
                    _thread = null;
                    return false;
                }
            }

            if (!_disposed)
            {
                _new.ForEach(_waiting.Enqueue);
                _new.Clear();
                return true;
            }
        }

        FailAll(new ObjectDisposedException(_owner.FullName));
        return false;
    }

    /// <summary>Whoever is not waited for leaves.</summary>
    private void Drop()
    {
        foreach ((GenerationRow row, GenerationRequest request) in _decoded.Where(text => text.Value.IsUnwanted).ToArray())
        {
            _batch!.Remove(other => other == row);
            _decoded.Remove(row);
            request.Cancel();
        }

        foreach (GenerationRequest request in _admitted.Where(request => request.IsUnwanted).ToArray())
        {
            _admitted.Remove(request);
            request.Cancel();
        }

        if (_read is { } read && read.Requests.All(request => request.IsUnwanted))
        {
            Array.ForEach(read.Requests, request => request.Cancel());
            read.Prompts.Dispose();
            _read = null;
        }
    }

    private void Admit()
    {
        while (UnderWay < _batchSize && _waiting.TryPeek(out GenerationRequest? first))
        {
            if (first.IsUnwanted)
            {
                first.Cancel();
            }
            else if (UnderWay == 0 || first.Adapter == _prefixes.Adapter)
            {
                _prefixes.Adapter = first.Adapter;
                _admitted.Add(first);
            }
            else
            {
                return;
            }

            _waiting.Dequeue();
        }
    }

    /// <summary>One token more for every text.</summary>
    private void Advance()
    {
        if (UnderWay == 0)
        {
            return;
        }

        try
        {
            _model.Take(_prefixes.Adapter, () =>
            {
                _batch ??= new GenerationBatch(_model.Model.Start(Room, _prefixes), Fail);
                ReadPrompts(_batch);
                if (_batch.Rows.Count > 0)
                {
                    _batch.Step();
                }
            });
        }
        catch (Exception error)
        {
            FailUnderWay(error);
        }

        foreach ((GenerationRow row, GenerationRequest request) in _decoded.ToArray())
        {
            request.Deliver();
            if (row.Stopped is not null)
            {
                _decoded.Remove(row);
            }
        }
    }

    /// <summary>Reads a piece of the prompts that came first: short ones together, a long one alone and in several pieces.</summary>
    private void ReadPrompts(GenerationBatch batch)
    {
        if (_read is null && _admitted.Count > 0)
        {
            Begin(batch);
        }

        if (_read is not { } read)
        {
            return;
        }

        Tensor? scores;
        try
        {
            scores = read.Prompts.Read(PromptTokens);
        }
        catch (Exception error)
        {
            // Too long for the memory, say: those that are decoded go on.
            Array.ForEach(read.Requests, request => request.Fail(error));
            read.Prompts.Dispose();
            _read = null;
            return;
        }

        if (scores is not null)
        {
            _read = null;
            Array.ForEach(read.Requests, request => _decoded.Add(request.Row, request));
            batch.Join([.. read.Requests.Select(request => request.Row)], read.Prompts, scores);
        }
    }

    private void Begin(GenerationBatch batch)
    {
        try
        {
            IPromptReading prompts = batch.Begin([.. _admitted.Select(request => request.Row)], PromptTokens);
            GenerationRequest[] requests = [.. _admitted.Take(prompts.KeptTokens.Count)];
            _admitted.RemoveRange(0, requests.Length);
            foreach ((GenerationRequest request, int kept) in requests.Zip(prompts.KeptTokens))
            {
                request.KeptTokens = kept;
            }

            _read = (requests, prompts);
        }
        catch (Exception error)
        {
            _admitted[0].Fail(error);
            _admitted.RemoveAt(0);
        }
    }

    private void Fail(GenerationRow row, Exception error)
    {
        if (_decoded.Remove(row, out GenerationRequest? request))
        {
            request.Fail(error);
        }
    }

    private void FailUnderWay(Exception error)
    {
        foreach (GenerationRequest request in _decoded.Values.Concat(_read?.Requests ?? []).Concat(_admitted))
        {
            request.Fail(error);
        }

        _decoded.Clear();
        _admitted.Clear();
        _read?.Prompts.Dispose();
        _batch?.Dispose();
        (_read, _batch) = (null, null);
    }

    private void FailAll(Exception error)
    {
        FailUnderWay(error);
        lock (_gate)
        {
            _new.ForEach(_waiting.Enqueue);
            _new.Clear();

            // Before another thread may begin: what waits belongs to one thread.
            while (_waiting.TryDequeue(out GenerationRequest? request))
            {
                request.Fail(error);
            }

            _thread = null;
        }
    }
}
