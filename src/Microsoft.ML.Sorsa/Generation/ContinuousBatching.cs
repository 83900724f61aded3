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
    /// <summary>Prompt tokens that are read between two steps at most: so long do those under way wait for a new one.</summary>
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

    // The decoding thread's, from the first to the last thing that happens to a text.
    private readonly Queue<GenerationRequest> _waiting = [];
    private readonly Dictionary<GenerationRow, GenerationRequest> _decoded = [];
    private readonly List<(GenerationRequest Request, IPromptReading Prompt)> _read = [];
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

    /// <summary>Takes what is new, and waits where there is nothing to do; false: it stays so, and the thread ends.</summary>
    private bool Receive()
    {
        lock (_gate)
        {
            while (!_disposed && _decoded.Count + _read.Count + _waiting.Count + _new.Count == 0)
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

        foreach ((GenerationRequest request, IPromptReading prompt) in _read.Where(text => text.Request.IsUnwanted).ToArray())
        {
            _read.Remove((request, prompt));
            prompt.Dispose();
            request.Cancel();
        }
    }

    private void Admit()
    {
        while (_decoded.Count + _read.Count < _batchSize && _waiting.TryPeek(out GenerationRequest? first))
        {
            if (!first.IsUnwanted && _decoded.Count + _read.Count > 0 && first.Adapter != _prefixes.Adapter)
            {
                return;
            }

            _waiting.Dequeue();
            if (first.IsUnwanted)
            {
                first.Cancel();
            }
            else
            {
                Begin(first);
            }
        }
    }

    private void Begin(GenerationRequest request)
    {
        try
        {
            _prefixes.Adapter = request.Adapter;
            _batch ??= new GenerationBatch(_model.Model.Start(Room, _prefixes), Fail);
            IPromptReading prompt = _batch.Begin(request.Row);
            request.KeptTokens = prompt.KeptTokens;
            _read.Add((request, prompt));
        }
        catch (Exception error)
        {
            request.Fail(error);
        }
    }

    /// <summary>One token more for every text.</summary>
    private void Advance()
    {
        if (_decoded.Count + _read.Count == 0)
        {
            return;
        }

        try
        {
            _model.Take(_prefixes.Adapter, () =>
            {
                if (_batch!.Rows.Count > 0)
                {
                    _batch.Step();
                }

                ReadPrompts();
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

    private void ReadPrompts()
    {
        int tokens = PromptTokens;
        while (tokens > 0 && _read.Count > 0)
        {
            (GenerationRequest request, IPromptReading prompt) = _read[0];
            try
            {
                if (prompt.Read(ref tokens) is { } scores)
                {
                    _read.RemoveAt(0);
                    _decoded.Add(request.Row, request);
                    _batch!.Join(request.Row, prompt, scores);
                }
            }
            catch (Exception error)
            {
                // Too long for the memory, say: the others go on.
                _read.Remove((request, prompt));
                prompt.Dispose();
                Fail(request.Row, error);
                request.Fail(error);
            }
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
        foreach (GenerationRequest request in _decoded.Values.Concat(_read.Select(text => text.Request)))
        {
            request.Fail(error);
        }

        _read.ForEach(text => text.Prompt.Dispose());
        _read.Clear();
        _decoded.Clear();
        _batch?.Dispose();
        _batch = null;
    }

    private void FailAll(Exception error)
    {
        FailUnderWay(error);
        lock (_gate)
        {
            _new.ForEach(_waiting.Enqueue);
            _new.Clear();
            _thread = null;
        }

        while (_waiting.TryDequeue(out GenerationRequest? request))
        {
            request.Fail(error);
        }
    }
}
