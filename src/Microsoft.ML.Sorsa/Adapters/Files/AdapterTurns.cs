using Microsoft.ML.Sorsa.Models;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Files;

/// <summary>Those who use one model take turns, each with the weights of its adapter in place.</summary>
/// <param name="owner">The class that is disposed of, for errors.</param>
/// <param name="network">The base; null: a model that is not ours, which takes no adapters.</param>
/// <param name="savedType">What merged weights are rounded to.</param>
internal sealed class AdapterTurns(Type owner, CausalLM? network, ScalarType savedType)
{
    private readonly Lock _turn = new();
    private AdapterSwitch? _adapters;
    private bool _disposed;

    public IReadOnlyList<string> Names
    {
        get
        {
            lock (_turn)
            {
                return _adapters?.Names ?? [];
            }
        }
    }

    /// <summary>The one that is used where none is named; null: the base alone.</summary>
    public string? Active
    {
        get
        {
            lock (_turn)
            {
                return _adapters?.Active;
            }
        }
    }

    /// <summary>The weights of the one that is in use where none is named; they stay this object's. Null: the base alone.</summary>
    public AdapterWeights? InUse
    {
        get
        {
            lock (_turn)
            {
                return _adapters?.InUse;
            }
        }
    }

    private AdapterSwitch Adapters => _adapters ??= network is null
        ? throw new NotSupportedException(
            "The model is an object of your own class, and adapters are loaded onto models from a folder: mlContext.Sorsa().LoadModel.")
        : new AdapterSwitch(network, savedType);

    /// <summary>With whatever weights are in place.</summary>
    public void Take(Action act)
    {
        lock (_turn)
        {
            ObjectDisposedException.ThrowIf(_disposed, owner);
            act();
        }
    }

    /// <summary>With the weights of an adapter.</summary>
    /// <param name="adapter">Its name, asked for when the turn has come; null: none.</param>
    /// <param name="act">What to do.</param>
    public void Take(Func<string?> adapter, Action act) => Take(() =>
    {
        string? name = adapter();
        _adapters?.PutInPlace(name);
        act();
    });

    /// <inheritdoc cref="Take(Func{string?}, Action)"/>
    public T Take<T>(Func<string?> adapter, Func<T> act)
    {
        T result = default!;
        Take(adapter, () => { result = act(); });
        return result;
    }

    /// <summary>With the weights of the adapter that is in use.</summary>
    public void TakeActive(Action act) => Take(() => Active, act);

    /// <inheritdoc cref="AdapterSwitch.Add"/>
    /// <param name="name">What to call it.</param>
    /// <param name="read">Reads it.</param>
    /// <param name="source">Where from, for errors.</param>
    public void Add(string name, Func<AdapterWeights> read, string source) => Take(() =>
    {
        AdapterSwitch adapters = Adapters;
        AdapterWeights weights = read();
        try
        {
            adapters.Add(name, weights, source);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    });

    /// <inheritdoc cref="AdapterSwitch.Use"/>
    public void Use(string? name) => Take(() => Adapters.Use(name));

    /// <summary>The name, if there is such an adapter; none, null, there is always.</summary>
    /// <exception cref="ArgumentException">There is no adapter of this name.</exception>
    public string? Loaded(string? name)
    {
        if (name is not null)
        {
            Take(() => Adapters.Verify(name));
        }

        return name;
    }

    /// <summary>The last turn; there is none after it.</summary>
    /// <param name="free">Once: what else goes with the model.</param>
    public void Dispose(Action free)
    {
        lock (_turn)
        {
            if (!_disposed)
            {
                _disposed = true;
                _adapters?.Dispose();
                free();
            }
        }
    }
}
