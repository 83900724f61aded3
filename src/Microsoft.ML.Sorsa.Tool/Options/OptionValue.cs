using System.Globalization;
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

    /// <exception cref="FormatException">The text is no value of the type; the message says what is.</exception>
    public static object? Parse(Type type, bool isNullable, IReadOnlyList<string> texts)
    {
        string text = texts.Count == 1 ? texts[0] : "";
        if (isNullable && texts.Count == 1 && text == Null)
        {
            return null;
        }

        Type bare = Bare(type);
        return IsList(type) ? texts.ToArray()
            : bare == typeof(string) ? text
            : bare == typeof(PromptTemplate) ? Template(text)
            : bare == typeof(IAnswerGrader) ? s_graders[Named(s_graders.Keys, text)]
            : bare.IsEnum ? Enum.Parse(bare, Named(Enum.GetNames(bare), text))
            : bare == typeof(bool) ? bool.TryParse(text, out bool flag) ? flag : throw No(text, "true or false")
            : Number(bare, text);
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

    /// <summary>Without SplitSpecialTokens, which is an option of its own.</summary>
    private static string Text(PromptTemplate template)
    {
        bool Is(PromptTemplate known) => template == known with { SplitSpecialTokens = template.SplitSpecialTokens };
        return Is(PromptTemplate.Chat) ? Chat : Is(PromptTemplate.Alpaca) ? Alpaca : template.ToString();
    }

    private static PromptTemplate Template(string text)
    {
        if (text.StartsWith('@') && !text.Contains("{prompt}", StringComparison.Ordinal))
        {
            return PromptTemplate.Format(File.ReadAllText(text[1..]));
        }

        return OptionName.Bare(text) switch
        {
            Chat => PromptTemplate.Chat,
            Alpaca => PromptTemplate.Alpaca,
            _ => text.Contains("{prompt}", StringComparison.Ordinal)
                ? PromptTemplate.Format(text)
                : throw No(text, "alpaca, chat, a text with {prompt} in it, or @ and the name of a file with such a text"),
        };
    }

    /// <summary>q_proj,v_proj is two names; a stop string with a comma in it is one, unless it looks like names.</summary>
    public static IEnumerable<string> Items(string text)
    {
        string[] parts = text.Split(',');
        return parts.All(part => part.Length > 0 && part.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.')) ? parts : [text];
    }

    private static string Named(IReadOnlyCollection<string> names, string text) =>
        names.FirstOrDefault(name => OptionName.Bare(name) == OptionName.Bare(text))
        ?? throw No(text, $"one of {string.Join(", ", names)}");

    private static object Number(Type type, string text)
    {
        bool isWhole = type == typeof(int) || type == typeof(long);
        try
        {
            return isWhole
                ? Convert.ChangeType(long.Parse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture), type, null)
                : Convert.ChangeType(double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture), type, null);
        }
        catch (Exception e) when (e is FormatException or OverflowException)
        {
            throw No(text, isWhole ? "a whole number" : "a number, such as 0.001 or 1e-3");
        }
    }

    private static FormatException No(string text, string what) => new($"is '{text}'; it must be {what}.");

    private static Type Bare(Type type) => Nullable.GetUnderlyingType(type) ?? type;
}
