using System.Collections;
using System.Reflection;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Interop;

/// <summary>
/// What a model keeps in fields, registered or not. ML.NET GenAI's tied head is such a module: it computes, and parameters() does not
/// know it.
/// </summary>
internal static class ModuleFields
{
    /// <summary>The model, its modules, and those that any of them keeps in a field; each once.</summary>
    public static IReadOnlyList<nn.Module> Modules(nn.Module root)
    {
        var found = new HashSet<nn.Module>(ReferenceEqualityComparer.Instance);
        var open = new Stack<nn.Module>([root]);
        while (open.TryPop(out nn.Module? module))
        {
            if (found.Add(module))
            {
                foreach (nn.Module child in module.children().Concat(Of(module).SelectMany(field => ModulesIn(field.GetValue(module)))))
                {
                    open.Push(child);
                }
            }
        }

        return [.. found];
    }

    /// <summary>Every tensor of these modules, registered or in a field; each once, and none that is disposed of.</summary>
    public static IReadOnlyList<Tensor> Tensors(nn.Module root)
    {
        IEnumerable<Tensor> tensors =
            from module in Modules(root)
            from tensor in module.parameters(recurse: false)
                .Concat(module.buffers(recurse: false))
                .Concat(Of(module).Select(field => field.GetValue(module)).OfType<Tensor>())
            where !tensor.IsInvalid
            select tensor;
        return [.. tensors.Distinct<Tensor>(ReferenceEqualityComparer.Instance)];
    }

    /// <summary>The fields of a module's class; a base class's private ones are not among those of the class.</summary>
    public static IEnumerable<FieldInfo> Of(nn.Module module)
    {
        for (Type? level = module.GetType(); level is not null && level != typeof(nn.Module); level = level.BaseType)
        {
            const BindingFlags Own = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
            foreach (FieldInfo field in level.GetFields(Own))
            {
                yield return field;
            }
        }
    }

    private static IEnumerable<nn.Module> ModulesIn(object? value) => value switch
    {
        nn.Module module => [module],
        IEnumerable<nn.Module> modules => modules,
        IDictionary { Values: { } values } => values.OfType<nn.Module>(),
        _ => [],
    };
}
