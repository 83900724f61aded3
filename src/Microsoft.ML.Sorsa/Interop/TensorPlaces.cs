using System.Reflection;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Interop;

/// <summary>
/// A model's registered tensors at one moment. A model whose forward moves them to another device, as ML.NET GenAI does with the layers
/// that do not fit, has others afterwards: what is written into these is lost, and no gradient comes to them.
/// </summary>
internal sealed class TensorPlaces
{
    private const string Remedy =
        "Load the whole model onto one device (in ML.NET GenAI: FromPretrained with a device, without layersOnTargetDevice).";

    private readonly nn.Module _module;
    private readonly (string Name, Tensor Tensor)[] _tensors;

    /// <exception cref="NotSupportedException">A module says itself that it moves.</exception>
    public TensorPlaces(nn.Module module)
    {
        foreach ((string name, nn.Module part) in module.named_modules().Prepend(("", module)))
        {
            // By the shape of GenAI's IDynamicLoadModule, which its layers have; the function is set where one moves.
            if (part.GetType().GetProperty("LoadToDeviceFunc", BindingFlags.Instance | BindingFlags.Public)?.GetValue(part) is not null)
            {
                throw new NotSupportedException(
                    $"The module '{name}' moves its weights to another device in its forward (LoadToDeviceFunc is set): it cannot be "
                    + $"trained where it lies. {Remedy}");
            }
        }

        _module = module;
        _tensors = Registered(module);
    }

    /// <summary>After a call of forward.</summary>
    /// <exception cref="NotSupportedException">It has other tensors than before.</exception>
    public void Verify()
    {
        HashSet<Tensor> present = new(Registered(_module).Select(named => named.Tensor), ReferenceEqualityComparer.Instance);
        string? moved = _tensors.FirstOrDefault(named => !present.Contains(named.Tensor)).Name;
        if (moved is not null)
        {
            throw new NotSupportedException(
                $"The model's forward puts another tensor in the place of '{moved}', or it was moved or cast while adapters are on it: "
                + $"it cannot be trained where it lies. {Remedy}");
        }
    }

    private static (string Name, Tensor Tensor)[] Registered(nn.Module module) =>
    [
        .. module.named_parameters().Select(named => (named.name, (Tensor)named.parameter)),
        .. module.named_buffers().Select(named => (named.name, named.buffer)),
    ];
}
