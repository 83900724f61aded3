using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Evaluation;

namespace Microsoft.ML.Sorsa.Tool.Options;

/// <summary>Values of options as texts, the same on the command line and in run.json.</summary>
internal static class OptionValue
{
    private const string Null = "null", Chat = "chat", Alpaca = "alpaca";

    private static readonly Dictionary<string, IAnswerGrader> s_graders = typeof(AnswerGraders).GetProperties()
        .Where(property => property.PropertyType == typeof(IAnswerGrader))
        .ToDictionary(property => property.Name, property => (IAnswerGrader)property.GetValue(null)!, StringComparer.Ordinal);

    /// <summary>Whether values of a type are written as one text or a list of texts.</summary>
    public static bool IsText(Type type)
    {
        Type bare = Bare(type);
        return bare.IsEnum || bare.IsPrimitive || bare == typeof(string) || IsList(type)
            || bare == typeof(PromptTemplate) || bare == typeof(IAnswerGrader);
    }

    public static bool IsList(Type type) => type == typeof(IReadOnlyList<string>);

    /// <summary>What stands for a value in help.</summary>
    public static string HelpName(Type type) => Bare(type) switch
    {
        { IsEnum: true } names => string.Join('|', Enum.GetNames(names)),
        var bare when bare == typeof(PromptTemplate) => "alpaca|chat|\"... {prompt} ...\"|@FILE",
        var bare when bare == typeof(IAnswerGrader) => "GRADER",
        var bare when bare == typeof(bool) => "true|false",
        var bare when bare == typeof(int) || bare == typeof(long) => "N",
        var bare when bare == typeof(double) || bare == typeof(float) => "NUMBER",
        _ => IsList(type) ? "NAME,..." : "TEXT",
    };

    /// <summary>The values that there are, for completion; none where there are too many.</summary>
    public static IReadOnlyList<string> Choices(Type type) => Bare(type) switch
    {
        { IsEnum: true } names => Enum.GetNames(names),
        var bare when bare == typeof(bool) => ["true", "false"],
        var bare when bare == typeof(PromptTemplate) => [Alpaca, Chat],
        var bare when bare == typeof(IAnswerGrader) => [.. s_graders.Keys],
        _ => [],
    };

    /// <summary>A value as the command line writes it.</summary>
    /// <exception cref="FormatException">The texts are no value of the type; the message says what is.</exception>
    public static object? Parse(Type type, bool isNullable, IReadOnlyList<string> texts)
    {
        if (IsList(type))
        {
            return isNullable && texts is [Null] ? null : texts.ToArray();
        }

        string text = texts.Count == 1 ? texts[0] : "";
        return isNullable && text == Null ? null : Of(Bare(type), text, isNullable);
    }

    /// <summary>
    /// A value as JSON has it. A text stands for itself where the option is a text, and for one text where it is a list; elsewhere it is
    /// read as on the command line. Nothing else is taken for what it is not.
    /// </summary>
    /// <exception cref="FormatException">It is no value of the type; the message says what is.</exception>
    public static object? FromJson(Type type, bool isNullable, JsonElement json)
    {
        Type bare = Bare(type);
        bool isNumber = bare != typeof(bool) && bare.IsPrimitive;
        return json.ValueKind switch
        {
            JsonValueKind.Null when isNullable => null,
            JsonValueKind.String when IsList(type) => new[] { json.GetString()! },
            JsonValueKind.String when bare == typeof(string) => json.GetString(),
            JsonValueKind.String => Parse(type, isNullable, [json.GetString()!]),
            JsonValueKind.Array when IsList(type) && json.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) =>
                json.EnumerateArray().Select(item => item.GetString()!).ToArray(),
            JsonValueKind.True or JsonValueKind.False when bare == typeof(bool) => json.GetBoolean(),
            JsonValueKind.Number when isNumber => Number(bare, json.GetRawText(), isNullable),
            _ => throw No(Kind(json), type, isNullable),
        };
    }

    public static JsonNode? ToJson(object? value) => value switch
    {
        null => null,
        string text => JsonValue.Create(text),
        bool flag => JsonValue.Create(flag),
        int or long => JsonValue.Create(Convert.ToInt64(value, CultureInfo.InvariantCulture)),
        double or float => JsonValue.Create(Convert.ToDouble(value, CultureInfo.InvariantCulture)),
        Enum name => JsonValue.Create(name.ToString()),
        PromptTemplate template => JsonValue.Create(Text(template)),
        IAnswerGrader grader => JsonValue.Create(s_graders.FirstOrDefault(known => known.Value == grader).Key ?? grader.Name),
        IReadOnlyList<string> names => new JsonArray([.. names.Select(name => JsonValue.Create(name))]),
        _ => throw new NotSupportedException($"A value of type {value.GetType().Name} cannot be written."),
    };

    /// <summary>The file that a text names instead of being a value itself: @FILE; null: none.</summary>
    public static string? File(Type type, string text) =>
        Bare(type) == typeof(PromptTemplate) && text.StartsWith('@') && !text.Contains("{prompt}", StringComparison.Ordinal)
            ? text[1..]
            : null;

    /// <summary>Without SplitSpecialTokens, which is an option of its own.</summary>
    private static string Text(PromptTemplate template)
    {
        bool Is(PromptTemplate known) => template == known with { SplitSpecialTokens = template.SplitSpecialTokens };
        return Is(PromptTemplate.Chat) ? Chat : Is(PromptTemplate.Alpaca) ? Alpaca : template.ToString();
    }

    private static PromptTemplate Template(string text, bool isNullable)
    {
        if (File(typeof(PromptTemplate), text) is { } file)
        {
            return OfFile(file);
        }

        return OptionName.Bare(text) switch
        {
            Chat => PromptTemplate.Chat,
            Alpaca => PromptTemplate.Alpaca,
            _ => text.Contains("{prompt}", StringComparison.Ordinal)
                ? PromptTemplate.Format(text)
                : throw No($"'{text}'", typeof(PromptTemplate), isNullable),
        };
    }

    private static PromptTemplate OfFile(string file)
    {
        try
        {
            string text = System.IO.File.ReadAllText(file, new UTF8Encoding(false, throwOnInvalidBytes: true));
            return text.Contains("{prompt}", StringComparison.Ordinal)
                ? PromptTemplate.Format(text)
                : throw new FormatException($"is '@{file}', and the file has no {{prompt}} in it. Write it where a prompt belongs.");
        }
        catch (DecoderFallbackException e)
        {
            throw new FormatException($"is '@{file}', and the file is not UTF-8. Save it as UTF-8.", e);
        }
    }

    /// <summary>q_proj,v_proj is two names; a stop string with a comma in it is one, unless it looks like names.</summary>
    public static IEnumerable<string> Items(string text)
    {
        string[] parts = text.Split(',');
        return parts.All(part => part.Length > 0 && part.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.')) ? parts : [text];
    }

    private static object Of(Type bare, string text, bool isNullable) =>
        bare == typeof(string) ? text
        : bare == typeof(PromptTemplate) ? Template(text, isNullable)
        : bare == typeof(IAnswerGrader) ? s_graders[Named(bare, s_graders.Keys, text, isNullable)]
        : bare.IsEnum ? Enum.Parse(bare, Named(bare, Enum.GetNames(bare), text, isNullable))
        : bare == typeof(bool) ? bool.TryParse(text, out bool flag) ? flag : throw No($"'{text}'", bare, isNullable)
        : Number(bare, text, isNullable);

    private static string Named(Type type, IReadOnlyCollection<string> names, string text, bool isNullable) =>
        names.FirstOrDefault(name => OptionName.Bare(name) == OptionName.Bare(text)) ?? throw No($"'{text}'", type, isNullable);

    /// <summary>1e3 and 8.0 are whole numbers, too.</summary>
    private static object Number(Type type, string text, bool isNullable)
    {
        bool isRead = decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out decimal exact);
        if (type == typeof(int) || type == typeof(long))
        {
            (decimal least, decimal most) = type == typeof(int) ? (int.MinValue, int.MaxValue) : (long.MinValue, long.MaxValue);
            return isRead && exact == decimal.Truncate(exact) && exact >= least && exact <= most
                ? Convert.ChangeType(exact, type, CultureInfo.InvariantCulture)
                : throw No($"'{text}'", type, isNullable);
        }

        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            ? Convert.ChangeType(number, type, CultureInfo.InvariantCulture)
            : throw No($"'{text}'", type, isNullable);
    }

    private static FormatException No(string given, Type type, bool isNullable) =>
        new($"is {given}; it must be {Form(type)}{(isNullable ? $", or {Null}" : "")}.");

    /// <summary>What a value of a type must be, to follow "it must be".</summary>
    private static string Form(Type type) => Bare(type) switch
    {
        { IsEnum: true } names => $"one of {string.Join(", ", Enum.GetNames(names))}",
        var bare when bare == typeof(PromptTemplate) =>
            "alpaca, chat, a text with {prompt} in it, or @ and the name of a file with such a text",
        var bare when bare == typeof(IAnswerGrader) => $"one of {string.Join(", ", s_graders.Keys)}",
        var bare when bare == typeof(bool) => "true or false",
        var bare when bare == typeof(int) => $"a whole number, at most {int.MaxValue}",
        var bare when bare == typeof(long) => "a whole number",
        var bare when bare == typeof(string) => "a text",
        _ => IsList(type) ? "a text or a list of texts" : "a number, such as 0.001 or 1e-3",
    };

    /// <summary>What stands in the place of a value, to follow "is".</summary>
    public static string Kind(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Array when json.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.String) =>
            "a list of other things than texts",
        JsonValueKind.Array => "a list of texts",
        JsonValueKind.Object => "an object",
        _ => json.GetRawText(),
    };

    private static Type Bare(Type type) => Nullable.GetUnderlyingType(type) ?? type;
}
