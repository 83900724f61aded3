using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>
/// Keys and values of the tokens that were seen, per layer [B, key-value heads, capacity, d], allocated once: a step writes its
/// own tokens behind the past and copies nothing of it.
/// </summary>
internal sealed class KVCache : IDisposable
{
    private readonly Tensor[] _keys;
    private readonly Tensor[] _values;

    public KVCache(DecoderSpec spec, long batchSize, int capacity, ScalarType type, Device device)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        Capacity = capacity;
        _keys = Allocate();
        _values = Allocate();

        Tensor[] Allocate() => [.. Enumerable.Range(0, spec.LayerCount).Select(_ =>
            empty([batchSize, spec.Attention.KeyValueHeadCount, capacity, spec.Attention.HeadDim], type, device).DetachFromDisposeScope())];
    }

    /// <summary>Tokens that fit.</summary>
    public int Capacity { get; }

    /// <summary>Tokens that are there, padding included.</summary>
    public int Length { get; private set; }

    /// <summary>Writes the keys and values [B, heads, T, d] of one layer behind the past and gives views of all of them.</summary>
    public (Tensor Keys, Tensor Values) Append(int layer, Tensor keys, Tensor values)
    {
        return (Write(_keys[layer], keys), Write(_values[layer], values));

        Tensor Write(Tensor all, Tensor added)
        {
            all.narrow(2, Length, added.shape[2]).copy_(added);
            return all.narrow(2, 0, Length + added.shape[2]);
        }
    }

    /// <summary>Every layer has appended these tokens.</summary>
    public void Advance(int tokens) => Length += tokens;

    public void Dispose()
    {
        foreach (Tensor tensor in _keys.Concat(_values))
        {
            tensor.Dispose();
        }
    }
}
