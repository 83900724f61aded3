using System.Globalization;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// A value of a JSON file that remembers where it stands, so that every error names the file, the key and the value. Absent and null are
/// the same, as in the files of transformers and tokenizers.
/// </summary>
internal sealed class JsonReader
{
    private const int ShownLength = 80;

    private readonly string _file;
    private readonly JsonElement _value;

    // Where it stands: a file has hundreds of thousands of values, and the whole path is only joined for an error.
    private readonly JsonReader? _parent;
    private readonly string? _key;
    private readonly int _index;

    private JsonReader(string file, JsonElement value)
    {
        _file = file;
        _value = value;
    }

    private JsonReader(JsonReader parent, string key, JsonElement value)
        : this(parent._file, value)
    {
        _parent = parent;
        _key = key;
    }

    private JsonReader(JsonReader parent, int index, JsonElement value)
        : this(parent._file, value)
    {
        _parent = parent;
        _index = index;
    }

    public bool IsText => _value.ValueKind == JsonValueKind.String;

    public bool IsArray => _value.ValueKind == JsonValueKind.Array;

    public bool IsObject => _value.ValueKind == JsonValueKind.Object;

    public bool IsNumber => _value.ValueKind == JsonValueKind.Number;

    public string Text
    {
        get
        {
            try
            {
                return IsText ? _value.GetString()! : throw Invalid("must be a string");
            }
            catch (InvalidOperationException)
            {
                throw Invalid("is a string with half a surrogate pair in it");
            }
        }
    }

    public bool Flag => _value.ValueKind is JsonValueKind.True or JsonValueKind.False
        ? _value.GetBoolean()
        : throw Invalid("must be true or false");

    public int Integer => IsNumber && _value.TryGetInt32(out int number) ? number : throw Invalid("must be an integer");

    /// <summary>A finite number, at least 0.</summary>
    public double NonNegative => IsNumber && _value.TryGetDouble(out double number) && double.IsFinite(number) && number >= 0
        ? number
        : throw Invalid("must be a number, at least 0");

    /// <summary>As it is written.</summary>
    public string Raw => _value.GetRawText();

    /// <summary>The file and where in it, for errors that come later.</summary>
    public string Place => $"{_file}: '{Path}'";

    /// <summary>The member that says which kind of piece an object is.</summary>
    public string Type => this["type"].Text;

    public IEnumerable<JsonReader> Items => IsArray
        ? _value.EnumerateArray().Select((item, index) => new JsonReader(this, index, item))
        : throw Invalid("must be an array");

    /// <summary>Every member, those that are null too.</summary>
    public IEnumerable<(string Key, JsonReader Value)> Members =>
        Object.EnumerateObject().Select(member => new JsonReader(this, NameOf(member), member.Value)).Select(value => (value._key!, value));

    /// <summary>The names of the members that are not null.</summary>
    public IEnumerable<string> Keys =>
        Members.Where(member => member.Value._value.ValueKind != JsonValueKind.Null).Select(member => member.Key);

    private JsonElement Object => _value.ValueKind == JsonValueKind.Object ? _value : throw Invalid("must be an object");

    /// <summary>Such as model.merges[3]; empty at the top.</summary>
    private string Path =>
        _parent is null ? ""
        : _key is null ? string.Create(CultureInfo.InvariantCulture, $"{_parent.Path}[{_index}]")
        : _parent.Join(NameList.Short(_key));

    private string Shown => Raw is var raw && raw.Length <= ShownLength ? raw : raw[..ShownLength] + "...";

    public JsonReader this[string key] => Find(key) ?? throw new InvalidDataException($"{_file}: '{Join(key)}' is missing.");

    /// <summary>Reads a file, which errors call by its path.</summary>
    /// <exception cref="IOException">It is not there, or cannot be read.</exception>
    /// <exception cref="InvalidDataException">It holds no JSON object.</exception>
    public static JsonReader Read(string path) => Parse(path, RegularFile.ReadAllBytes(path));

    /// <param name="file">What errors call the file.</param>
    /// <param name="json">Its bytes, with a byte order mark or without.</param>
    /// <exception cref="InvalidDataException">The bytes are not a JSON object.</exception>
    public static JsonReader Parse(string file, ReadOnlySpan<byte> json)
    {
        WrongFile.Verify(file, json);
        JsonElement value;
        try
        {
            value = JsonElement.Parse(Utf8Text.Verify(file, json));
        }
        catch (JsonException error)
        {
            throw NotJson(file, error);
        }

        return value.ValueKind == JsonValueKind.Object
            ? new JsonReader(file, value)
            : throw new InvalidDataException($"{file} must hold a JSON object; it holds {value.ValueKind}.");
    }

    /// <summary>What is wrong with a text that is no JSON, and where: .NET's own message may quote the rest of the file.</summary>
    public static InvalidDataException NotJson(string file, JsonException error)
    {
        string said = error.Message.Split(" LineNumber:")[0].Replace(" Change the reader options.", "", StringComparison.Ordinal);
        string place = string.Create(CultureInfo.InvariantCulture, $"line {error.LineNumber + 1}, byte {error.BytePositionInLine + 1}");
        return new(
            $"{file} is not valid JSON: {NameList.Short(said)} ({place}). Correct it there, or fetch or write the file again.", error);
    }

    /// <summary>The member of that name; null where it is absent or null.</summary>
    public JsonReader? Find(string key) => TryGet(key, out JsonElement member) && member.ValueKind != JsonValueKind.Null
        ? new JsonReader(this, key, member)
        : null;

    public bool Has(string key) => Find(key) is not null;

    /// <summary>The key is there and null: for the few keys where that means something else than absence.</summary>
    public bool IsNull(string key) => TryGet(key, out JsonElement value) && value.ValueKind == JsonValueKind.Null;

    /// <summary>The object at a key; null where it is absent.</summary>
    public JsonReader? Section(string key)
    {
        JsonReader? section = Find(key);
        _ = section?.Object;
        return section;
    }

    public string TextOf(string key, string? defaultValue = null) => (defaultValue is null ? this[key] : Find(key))?.Text ?? defaultValue!;

    /// <summary>False where the key is absent.</summary>
    public bool FlagOf(string key) => Find(key)?.Flag ?? false;

    /// <summary>A whole number above 0.</summary>
    public int Positive(string key, int? defaultValue = null)
    {
        if ((defaultValue is null ? this[key] : Find(key)) is not { } found)
        {
            return defaultValue!.Value;
        }

        return found.IsNumber && found._value.TryGetInt32(out int number) && number > 0
            ? number
            : throw found.Invalid("must be a whole number above 0");
    }

    /// <summary>A finite number above 0.</summary>
    public double NumberOf(string key, double? defaultValue = null)
    {
        if ((defaultValue is null ? this[key] : Find(key)) is not { } found)
        {
            return defaultValue!.Value;
        }

        return found.IsNumber && found._value.TryGetDouble(out double number) && double.IsFinite(number) && number > 0
            ? number
            : throw found.Invalid("must be a number above 0");
    }

    /// <summary>One whole number or a list of them; empty where the key is absent.</summary>
    public IReadOnlyList<int> Integers(string key)
    {
        if (Find(key) is not { } found)
        {
            return [];
        }

        IEnumerable<JsonReader> items = found.IsArray ? found.Items : [found];
        return [.. items.Select(item => item.IsNumber && item._value.TryGetInt32(out int number)
            ? number
            : throw found.Invalid("must be a whole number or a list of them"))];
    }

    /// <summary>The key is there with anything but null, false, and an empty text, list or object.</summary>
    public bool IsSet(string key) => Find(key) is { } found && found._value.ValueKind switch
    {
        JsonValueKind.False => false,
        JsonValueKind.Array => found._value.GetArrayLength() > 0,
        JsonValueKind.Object => found._value.EnumerateObject().Any(),
        JsonValueKind.String => found.Text.Length > 0,
        _ => true,
    };

    /// <summary>Refuses members other than the named ones: a setting that is not known cannot be honoured.</summary>
    public void AllowOnly(params ReadOnlySpan<string> keys)
    {
        foreach ((string key, JsonReader value) in Members)
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

    /// <summary>The error of a value that makes no sense.</summary>
    public InvalidDataException Invalid(string fault) => new($"{_file}: '{Path}' {fault}; it is {Shown}.");

    /// <summary>The error of values that make no sense together.</summary>
    public InvalidDataException Bad(string what) => new($"{_file} cannot be used: {NameList.Short(what, 1000)}.");

    /// <summary>The error of a value that is right elsewhere.</summary>
    public NotSupportedException Unsupported(string supported) => new($"{_file}: '{Path}' = {Shown} is not supported; {supported}.");

    private bool TryGet(string key, out JsonElement member)
    {
        try
        {
            return Object.TryGetProperty(key, out member);
        }
        catch (InvalidOperationException)
        {
            throw HalfName();
        }
    }

    private string NameOf(JsonProperty member)
    {
        try
        {
            return member.Name;
        }
        catch (InvalidOperationException)
        {
            throw HalfName();
        }
    }

    private InvalidDataException HalfName() =>
        Bad($"{(_parent is null ? "it" : $"'{Path}'")} has a key with half a surrogate pair in it");

    private string Join(string key) => _parent is null ? key : $"{Path}.{key}";
}
