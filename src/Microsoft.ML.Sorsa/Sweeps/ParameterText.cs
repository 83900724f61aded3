using System.Collections;
using System.Globalization;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>A value as studies, reports and workers write it: the same on every machine, and a number to its last bit.</summary>
internal static class ParameterText
{
    public const string Null = "null";

    public static string Of(object? value) => value switch
    {
        null => Null,
        string text => text,
        double number => number.ToString("R", CultureInfo.InvariantCulture),
        bool flag => flag ? "true" : "false",
        Enum name => name.ToString(),
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        IEnumerable items => string.Join(',', items.Cast<object?>().Select(Of)),
        _ => throw new ArgumentException($"A value of type {value.GetType().Name} cannot be written down in a study. Use numbers, texts, lists of texts, booleans or members of an enumeration.", nameof(value)),
    };
}
