using System.Reflection;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Interop;

/// <summary>
/// The fields in which a model's modules keep keys and values from one call to the next (of an interface named IKVCache, as in ML.NET
/// GenAI). Some keep them whatever they are told, and a call then reads the text of the one before.
/// </summary>
internal sealed class CacheFields
{
    private readonly (nn.Module Owner, FieldInfo Field)[] _fields;

    public CacheFields(nn.Module module) =>
        _fields = [..
            from owner in ModuleFields.Modules(module)
            from field in ModuleFields.Of(owner)
            where field.FieldType is { IsInterface: true, Name: "IKVCache" }
            select (owner, field)];

    /// <summary>
    /// Empties them. The caches are not disposed of: GenAI's own scopes hold tensors that are none of theirs, weights among them.
    /// </summary>
    public void Clear()
    {
        foreach ((nn.Module owner, FieldInfo field) in _fields)
        {
            field.SetValue(owner, null);
        }
    }
}
