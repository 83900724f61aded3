using System.Globalization;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// A value of a JSON file that remembers where it stands, so that every error names the file and the key. Absent and null are the same,
/// as in the files of the tokenizers library.
/// </summary>
internal readonly struct JsonPart
{
    private readonly string _file;
    private readonly string _parent;
    private readonly object? _key;
    private readonly JsonElement _value;

    private JsonPart(string file, string parent, object? key, JsonElement value)
    {
        _file = file;
        _parent = parent;
        _key = key;
        _value = value;
    }

    public string Text
    {
        get
        {
            try
            {
                return _value.ValueKind == JsonValueKind.String ? _value.GetString()! : throw Invalid("must be a string");
            }
            catch (InvalidOperationException)
            {
                throw Invalid("is a string with half a surrogate pair in it");
            }
        }
    }

    public bool Flag =>
        _value.ValueKind is JsonValueKind.True or JsonValueKind.False ? _value.GetBoolean() : throw Invalid("must be true or false");

    public int Number =>
        _value.ValueKind == JsonValueKind.Number && _value.TryGetInt32(out int number) ? number : throw Invalid("must be an integer");

    public bool IsText => _value.ValueKind == JsonValueKind.String;

    public bool IsArray => _value.ValueKind == JsonValueKind.Array;

    public bool IsNumber => _value.ValueKind == JsonValueKind.Number;

    /// <summary>The member that says which kind of piece an object is.</summary>
    public string Type => this["type"].Text;

    public IEnumerable<JsonPart> Items
    {
        get
        {
            if (_value.ValueKind != JsonValueKind.Array)
            {
                throw Invalid("must be an array");
            }

            string path = Path;
            int index = 0;
            foreach (JsonElement item in _value.EnumerateArray())
            {
                yield return new JsonPart(_file, path, index++, item);
            }
        }
    }

    public IEnumerable<(string Key, JsonPart Value)> Members
    {
        get
        {
            if (_value.ValueKind != JsonValueKind.Object)
            {
                throw Invalid("must be an object");
            }

            string path = Path;
            foreach (JsonProperty member in _value.EnumerateObject())
            {
                yield return (member.Name, new JsonPart(_file, path, member.Name, member.Value));
            }
        }
    }

    private string Path => _key switch
    {
        null => _parent,
        int index => string.Create(CultureInfo.InvariantCulture, $"{_parent}[{index}]"),
        _ => _parent.Length == 0 ? (string)_key : $"{_parent}.{_key}",
    };

    public JsonPart this[string key] => Find(key) ?? throw new InvalidDataException($"{_file}: '{Join(key)}' is missing.");

    /// <exception cref="InvalidDataException">The bytes are not a JSON object.</exception>
    public static JsonPart Parse(string file, ReadOnlySpan<byte> json)
    {
        JsonElement value;
        try
        {
            value = JsonElement.Parse(json);
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{file} is not valid JSON: {error.Message}", error);
        }

        return value.ValueKind == JsonValueKind.Object
            ? new JsonPart(file, "", null, value)
            : throw new InvalidDataException($"{file} must hold a JSON object; it holds {value.ValueKind}.");
    }

    /// <summary>The member of that name; null where it is absent or null.</summary>
    public JsonPart? Find(string key)
    {
        if (_value.ValueKind != JsonValueKind.Object)
        {
            throw Invalid("must be an object");
        }

        return _value.TryGetProperty(key, out JsonElement member) && member.ValueKind != JsonValueKind.Null
            ? new JsonPart(_file, Path, key, member)
            : null;
    }

    /// <summary>Refuses members other than the named ones: a setting that is not known cannot be honoured.</summary>
    public void AllowOnly(params ReadOnlySpan<string> keys)
    {
        foreach ((string key, JsonPart value) in Members)
        {
            if (!keys.Contains(key))
            {
                throw value.Unsupported($"known here are {string.Join(", ", keys!)}");
            }
        }
    }

    /// <summary>Refuses a member that is set to anything but null, an empty string or <paramref name="meaningless"/>.</summary>
    public void Refuse(string key, bool? meaningless = null)
    {
        if (Find(key) is not { } value
            || (value.IsText && value.Text.Length == 0)
            || (meaningless is bool flag && value._value.ValueKind == (flag ? JsonValueKind.True : JsonValueKind.False)))
        {
            return;
        }

        throw value.Unsupported(meaningless is bool only ? $"it must be {(only ? "true" : "false")}" : "it must be null");
    }

    public InvalidDataException Invalid(string fault) => new($"{_file}: '{Path}' {fault}; it is {Shown}.");

    public NotSupportedException Unsupported(string supported) => new($"{_file}: '{Path}' = {Shown} is not supported; {supported}.");

    private string Shown
    {
        get
        {
            string raw = _value.GetRawText();
            return raw.Length <= 80 ? raw : raw[..80] + "...";
        }
    }

    private string Join(string key) => Path.Length == 0 ? key : $"{Path}.{key}";
}
