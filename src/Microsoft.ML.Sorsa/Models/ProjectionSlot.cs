using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>A linear map whose gradients do not need its output.</summary>
internal interface IUnreadProjection
{
    /// <summary>Stands for the output [..., out] in the graph; its values are any, and nothing reads them.</summary>
    Tensor Unread(Tensor x);
}

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
    /// <param name="weights">Where its weights come from.</param>
    /// <param name="shape">[out, in].</param>
    /// <param name="hasBias">It adds a bias [out].</param>
    public ProjectionSlot(nn.Module owner, string path, string name, WeightSource weights, (long Out, long In) shape, bool hasBias)
    {
        _owner = owner;
        Name = name;
        Path = $"{path}.{name}";
        Module = nn.Linear(weights.Get(WeightName, shape.Out, shape.In), hasBias ? weights.Get($"{Path}.bias", shape.Out) : null);
        owner.register_module(name, Module);
    }

    /// <summary>What TargetModules calls it, such as q_proj.</summary>
    public string Name { get; }

    /// <summary>The name in the checkpoint without ".weight".</summary>
    public string Path { get; }

    /// <summary>The name of its matrix in the checkpoint.</summary>
    public string WeightName => $"{Path}.weight";

    public nn.Module<Tensor, Tensor> Module { get; private set; }

    /// <summary>The projection of x [..., in].</summary>
    /// <param name="x">The input.</param>
    /// <param name="isRead">See <see cref="IUnreadProjection"/>.</param>
    public Tensor Apply(Tensor x, bool isRead = true) => Module switch
    {
        IUnreadProjection unread when !isRead => unread.Unread(x),
        Linear linear when FewRowsProduct.Fits(x, linear.weight!) => FewRowsProduct.Compute(x, linear.weight!, linear.bias),
        Linear linear when WideLinear.Fits(x, linear.weight!) => WideLinear.Apply(x, linear.weight!, linear.bias),
        _ => Module.call(x),
    };

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
