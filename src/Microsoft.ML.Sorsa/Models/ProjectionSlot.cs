using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>
/// A place in the decoder that a linear map fills: what is adapted is put here, and the decoder does not know what it is. The
/// module is registered under its checkpoint name (q_proj, ...) in the layer that uses it.
/// </summary>
internal sealed class ProjectionSlot
{
    private readonly nn.Module _owner;

    /// <param name="owner">The module that uses the projection.</param>
    /// <param name="path">The owner's name in the checkpoint, such as model.layers.0.self_attn.</param>
    /// <param name="name">The projection's own name, such as q_proj.</param>
    /// <param name="module">The linear map, owned by the slot from now on.</param>
    public ProjectionSlot(nn.Module owner, string path, string name, nn.Module<Tensor, Tensor> module)
    {
        _owner = owner;
        Name = name;
        Path = $"{path}.{name}";
        Module = module;
        owner.register_module(name, module);
    }

    /// <summary>q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj or down_proj.</summary>
    public string Name { get; }

    /// <summary>The name in the checkpoint without ".weight".</summary>
    public string Path { get; }

    public nn.Module<Tensor, Tensor> Module { get; private set; }

    public Tensor Apply(Tensor x) => Module.call(x);

    /// <summary>Puts another map in; the one that was here is the caller's.</summary>
    public nn.Module<Tensor, Tensor> Exchange(nn.Module<Tensor, Tensor> module)
    {
        nn.Module<Tensor, Tensor> before = Module;
        Module = module;

        // A name that is taken is refused; null frees it.
        _owner.register_module(Name, null!);
        _owner.register_module(Name, module);
        return before;
    }
}
