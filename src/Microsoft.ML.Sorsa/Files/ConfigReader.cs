using System.Globalization;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>Typed access to a JSON object; errors name the file, the key and its value. A null counts as absent.</summary>
internal sealed class ConfigReader : IDisposable
{
    private readonly JsonDocument? _document;
    private readonly JsonElement _object;
    private readonly string _source;

    public ConfigReader(byte[] json, string source)
    {
        _source = source;
        try
        {
            _document = JsonDocument.Parse(json);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"'{source}' is not JSON: {e.Message}", e);
        }

        _object = _document.RootElement;
        if (_object.ValueKind != JsonValueKind.Object)
        {
            throw Bad("it is no JSON object");
        }
    }

    private ConfigReader(JsonElement element, string source)
    {
        _object = element;
        _source = source;
    }

    public IEnumerable<string> Keys =>
        _object.EnumerateObject().Where(property => property.Value.ValueKind != JsonValueKind.Null).Select(property => property.Name);

    public bool Has(string key) => Find(key) is not null;

    /// <summary>The key is there and null: for the few keys where that means something else than absence.</summary>
    public bool IsNull(string key) => _object.TryGetProperty(key, out JsonElement value) && value.ValueKind == JsonValueKind.Null;

    /// <summary>The object at <paramref name="key"/>; valid as long as this reader is.</summary>
    public ConfigReader? Section(string key) => Find(key) is { } value
        ? value.ValueKind == JsonValueKind.Object
            ? new ConfigReader(value, $"{_source}: {key}")
            : throw Bad($"{key} is {value.GetRawText()} and must be an object")
        : null;

    public string Text(string key, string? defaultValue = null) => Find(key) is { } value
        ? value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Bad($"{key} is {value.GetRawText()} and must be a text")
        : defaultValue ?? throw Missing(key);

    public bool Flag(string key) => Find(key) is { } value && value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Bad($"{key} is {value.GetRawText()} and must be true or false"),
    };

    /// <summary>The key is there with anything but null, false, and an empty text, list or object.</summary>
    public bool IsSet(string key) => Find(key) is { } value && value.ValueKind switch
    {
        JsonValueKind.False => false,
        JsonValueKind.Array => value.GetArrayLength() > 0,
        JsonValueKind.Object => value.EnumerateObject().Any(),
        JsonValueKind.String => value.GetString()!.Length > 0,
        _ => true,
    };

    /// <summary>The value as it is written; null where it is absent.</summary>
    public string? Raw(string key) => Find(key)?.GetRawText();

    public int Positive(string key, int? defaultValue = null)
    {
        if (Find(key) is not { } value)
        {
            return defaultValue ?? throw Missing(key);
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number > 0
            ? number
            : throw Bad($"{key} is {value.GetRawText()} and must be a whole number above 0");
    }

    public double Number(string key, double? defaultValue = null)
    {
        if (Find(key) is not { } value)
        {
            return defaultValue ?? throw Missing(key);
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsFinite(number) && number > 0
            ? number
            : throw Bad($"{key} is {value.GetRawText()} and must be a number above 0");
    }

    /// <summary>One whole number or a list of them; empty where the key is absent.</summary>
    public IReadOnlyList<int> Integers(string key)
    {
        if (Find(key) is not { } value)
        {
            return [];
        }

        JsonElement[] items = value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : [value];
        return [.. items.Select(item => item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out int id)
            ? id
            : throw Bad($"{key} is {value.GetRawText()} and must be a whole number or a list of them"))];
    }

    public InvalidDataException Bad(string what) =>
        new(string.Create(CultureInfo.InvariantCulture, $"'{_source}' cannot be used: {what}."));

    public NotSupportedException NotImplemented(string what) => new($"'{_source}' asks for {what}.");

    public void Dispose() => _document?.Dispose();

    private InvalidDataException Missing(string key) => Bad($"{key} is missing");

    private JsonElement? Find(string key) =>
        _object.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
