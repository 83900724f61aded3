using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Interop;

/// <summary>
/// A model object's tensors by the names that its checkpoint has, so that a decoder of ours can stand over them. They stay the object's:
/// nothing is written before <see cref="Write"/>.
/// </summary>
internal sealed class ModuleWeights
{
    private readonly Dictionary<string, Tensor> _tensors;
    private readonly Tensor[] _tiedHeads;

    /// <param name="module">The object.</param>
    /// <param name="layout">What its configuration asks for.</param>
    /// <param name="tied">The head's weight is the embedding's.</param>
    public ModuleWeights(nn.Module module, DecoderLayout layout, bool tied)
    {
        _tensors = module.named_parameters().Select(named => (named.name, tensor: (Tensor)named.parameter))
            .Concat(module.named_buffers().Select(named => (named.name, tensor: named.buffer)))
            .Where(named => layout.Tensors.ContainsKey(named.name) || named.name == DecoderWithHead.HeadWeight)
            .ToDictionary(named => named.name, named => named.tensor, StringComparer.Ordinal);
        Missing = [.. layout.Tensors.Keys.Where(name => !_tensors.ContainsKey(name))];

        // GenAI ties by a copy, in a module that it does not register: such a copy has no name.
        _tiedHeads = tied && _tensors.TryGetValue(DecoderWithHead.EmbeddingWeight, out Tensor? embedding)
            ? [.. ModuleFields.Tensors(module).Where(tensor => !ReferenceEquals(tensor, embedding) && IsCopy(tensor, embedding))]
            : [];
    }

    /// <summary>The object's own tensors by name; a head of its own among them, also where the configuration ties it.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors => _tensors;

    /// <summary>What the configuration asks for and no tensor is called.</summary>
    public IReadOnlyList<string> Missing { get; }

    /// <summary>
    /// Writes trained weights into the object, each in the type that it has there. Where that is the same on both sides, the weight is the
    /// object's own tensor afterwards, and no copy is left.
    /// </summary>
    /// <param name="weights">By name.</param>
    /// <exception cref="ArithmeticException">The object's type cannot hold a value; nothing was written.</exception>
    public void Write(IReadOnlyList<KeyValuePair<string, Tensor>> weights)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var changed = new List<(Tensor Own, Tensor Value)>();
        foreach ((string name, Tensor weight) in weights)
        {
            Tensor own = _tensors[name], value = weight.to(own.dtype, own.device);
            if (own.eq(value).all().item<bool>())
            {
                continue;
            }

            if (!TensorValues.AreFinite(value))
            {
                throw new ArithmeticException(
                    $"The trained weight '{name}' holds values that the model object's {own.dtype} cannot. The object is as it was. Load "
                    + "it in Float32 or BFloat16.");
            }

            changed.Add((own, value));
            if (name == DecoderWithHead.EmbeddingWeight)
            {
                changed.AddRange(_tiedHeads.Select(head => (head, value.to(head.dtype, head.device))));
            }
        }

        // Only now: whatever can fail is done.
        changed.ForEach(pair => pair.Own.copy_(pair.Value));
        foreach ((string name, Tensor weight) in weights)
        {
            Tensor own = _tensors[name];
            if (own.dtype == weight.dtype && TorchDevice.IsSame(own.device, weight.device))
            {
                weight.set_(own.detach());
            }
        }
    }

    private static bool IsCopy(Tensor tensor, Tensor original)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return tensor.is_floating_point() && tensor.shape.SequenceEqual(original.shape)
            && tensor.to(original.dtype, original.device).eq(original).all().item<bool>();
    }
}
