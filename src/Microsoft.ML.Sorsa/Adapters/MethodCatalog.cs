using System.Collections.Immutable;
using Microsoft.ML.Sorsa.Adapters.AdaLora;
using Microsoft.ML.Sorsa.Adapters.Dora;
using Microsoft.ML.Sorsa.Adapters.GaLore;
using Microsoft.ML.Sorsa.Adapters.Lisa;
using Microsoft.ML.Sorsa.Adapters.Lora;
using Microsoft.ML.Sorsa.Adapters.Pissa;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Adapters.Weights;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>The methods that there are: the one place where they are listed.</summary>
internal static class MethodCatalog
{
    private static readonly ImmutableList<MethodDescriptor> s_methods =
    [
        SorsaMethod.Descriptor,
        LoraMethod.Descriptor,
        LoraMethod.RankStabilized,
        PissaMethod.Descriptor,
        DoraMethod.Descriptor,
        AdaLoraMethod.Descriptor,
        WeightMethod.Full,
        WeightMethod.Partial,
        GaLoreMethod.Descriptor,
        LisaMethod.Descriptor,
    ];

    private static readonly AsyncLocal<ImmutableList<MethodDescriptor>?> s_registered = new();

    public static IReadOnlyList<MethodDescriptor> All => s_registered.Value is { } registered ? s_methods.AddRange(registered) : s_methods;

    /// <summary>The methods whose adapters are kept in files.</summary>
    public static IEnumerable<MethodDescriptor> Saved => All.Where(method => method.Restore is not null);

    /// <summary>The method that files call so; null where there is none.</summary>
    public static MethodDescriptor? FindSaved(string name) => Saved.FirstOrDefault(known => known.Name == name);

    /// <exception cref="ArgumentOutOfRangeException">No method is called so.</exception>
    public static MethodDescriptor Get(FineTuningMethod method) => All.FirstOrDefault(known => known.Method == method)
        ?? throw OptionRange.Error(
            "Method", method, $"one of {string.Join(", ", All.Select(known => known.Method))}", "Choose one of them");

    /// <summary>
    /// Adds a method from outside of the library, for the caller and what it calls and starts, until the result is disposed.
    /// </summary>
    public static IDisposable Register(MethodDescriptor descriptor)
    {
        if (All.Any(known => known.Method == descriptor.Method || known.Name == descriptor.Name))
        {
            throw new ArgumentException(
                $"A method {descriptor.Method} or a name '{descriptor.Name}' is there already. Choose another value and another name.",
                nameof(descriptor));
        }

        s_registered.Value = (s_registered.Value ?? []).Add(descriptor);
        return new Registration(descriptor);
    }

    private sealed class Registration(MethodDescriptor descriptor) : IDisposable
    {
        public void Dispose() => s_registered.Value = s_registered.Value?.Remove(descriptor);
    }
}
