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
            from owner in module.modules().Prepend(module).Distinct()
            from field in Fields(owner.GetType())
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

    /// <summary>A base class's private fields are not among those of the class.</summary>
    private static IEnumerable<FieldInfo> Fields(Type type)
    {
        for (Type? level = type; level is not null && level != typeof(nn.Module); level = level.BaseType)
        {
            const BindingFlags Own = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
            foreach (FieldInfo field in level.GetFields(Own).Where(field => field.FieldType is { IsInterface: true, Name: "IKVCache" }))
            {
                yield return field;
            }
        }
    }
}
