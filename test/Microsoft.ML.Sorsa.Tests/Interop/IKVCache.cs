using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>Keys and values of earlier calls, by layer; the name is GenAI's.</summary>
internal interface IKVCache : IDisposable
{
    long Length { get; }

    (Tensor Keys, Tensor Values) Update(Tensor keys, Tensor values, int layer);
}

/// <summary>Keeps them for ever.</summary>
internal sealed class GrowingCache : IKVCache
{
    private readonly Dictionary<int, (Tensor Keys, Tensor Values)> _layers = [];

    public bool Disposed { get; private set; }

    public long Length => _layers.TryGetValue(0, out (Tensor Keys, Tensor Values) first) ? first.Keys.shape[2] : 0;

    public (Tensor Keys, Tensor Values) Update(Tensor keys, Tensor values, int layer)
    {
        (Tensor, Tensor) grown = _layers.TryGetValue(layer, out (Tensor Keys, Tensor Values) past)
            ? (cat([past.Keys, keys], 2), cat([past.Values, values], 2))
            : (keys, values);
        return _layers[layer] = (grown.Item1.DetachFromDisposeScope(), grown.Item2.DetachFromDisposeScope());
    }

    public void Dispose() => Disposed = true;
}
