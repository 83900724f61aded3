using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>Options as texts for people: the same in every culture.</summary>
internal static class OptionTexts
{
    /// <summary>Infinity is no number of JSON's, and a wrong option that is refused later.</summary>
    private static readonly JsonSerializerOptions s_named = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>Properties that can be set, in the order in which they stand.</summary>
    /// <param name="options">Any object with properties.</param>
    /// <param name="isMeant">Which of them, by name.</param>
    /// <param name="shown">What stands in the place of a property's value, by its name.</param>
    public static IEnumerable<KeyValuePair<string, string>> Of(
        object options, Func<string, bool> isMeant, IReadOnlyDictionary<string, object?> shown) =>
        from property in options.GetType().GetProperties()
        where property.SetMethod is { IsPublic: true } && isMeant(property.Name)
        orderby property.MetadataToken
        select KeyValuePair.Create(
            property.Name, Text(shown.TryGetValue(property.Name, out object? value) ? value : property.GetValue(options)));

    private static string Text(object? value) => value switch
    {
        null => "null",
        string text => text,
        bool flag => flag ? "true" : "false",
        double number => number.ToString("R", CultureInfo.InvariantCulture),
        Enum name => name.ToString(),
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        IEnumerable<string> names => string.Join(", ", names),
        _ => JsonSerializer.Serialize(value, value.GetType(), s_named),
    };
}
