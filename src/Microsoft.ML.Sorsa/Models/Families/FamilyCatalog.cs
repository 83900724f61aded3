using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Models.Families;

/// <summary>The model families by the model_type of config.json. A new one is a file beside this one, and a line here.</summary>
internal static class FamilyCatalog
{
    private static readonly SortedDictionary<string, Func<JsonReader, DecoderSpec>> s_families = new(StringComparer.Ordinal)
    {
        ["llama"] = Llama.Read,
        ["mistral"] = Mistral.Read,
    };

    public static IReadOnlyList<string> ModelTypes => [.. s_families.Keys];

    /// <param name="config">config.json.</param>
    /// <param name="source">What errors call it.</param>
    /// <exception cref="NotSupportedException">A family that is not here, or a variant of one that is not implemented.</exception>
    public static DecoderSpec Read(JsonReader config, string source)
    {
        string modelType = config.TextOf("model_type");
        return s_families.TryGetValue(modelType, out Func<JsonReader, DecoderSpec>? read)
            ? read(config)
            : throw new NotSupportedException(
                $"'{source}' describes a model of type '{NameList.Short(modelType)}'; the types that are implemented "
                + $"are {string.Join(", ", ModelTypes.SkipLast(1))} and {ModelTypes[^1]}.");
    }
}
