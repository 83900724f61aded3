using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Text.Json;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;

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
        _ => throw new ArgumentException($"A value of type {value.GetType().Name} cannot be written down in a study. "
            + "Use numbers, texts, lists of texts, booleans or members of an enumeration.", nameof(value)),
    };
}

/// <summary>The trainer's options by their names, and as texts.</summary>
internal static class OptionText
{
    private const string ChatTemplate = "chat", FormatMark = "format:";

    /// <summary>In front of a template that treats special tokens in a prompt otherwise than its kind does.</summary>
    private const string SplitMark = "special tokens split: ", FoundMark = "special tokens found: ";

    /// <summary>What belongs to a place and a process, not to what is computed.</summary>
    private static readonly string[] s_local =
    [
        nameof(Options.ModelFolder), nameof(Options.MapWeights), nameof(Options.Progress), nameof(Options.CancellationToken),
        nameof(Options.CheckpointFolder), nameof(Options.CheckpointSteps), nameof(Options.KeepCheckpoints), nameof(Options.Resume),
        nameof(Options.MemoryCheck), nameof(Options.Analysis), nameof(Options.TensorBoardFolder), nameof(Options.Ranks),
    ];

    /// <summary>The same for all trials of one base model.</summary>
    private static readonly string[] s_ofTheBaseModel =
        [nameof(Options.ComputeType), nameof(Options.AllowTf32), nameof(Options.SavedType)];

    /// <summary>
    /// The same model comes out to the bit: names of columns, and what computes the same gradients in less memory, so that a study whose
    /// trials ran out of it goes on.
    /// </summary>
    private static readonly string[] s_indifferent =
    [
        nameof(Options.PromptColumnName), nameof(Options.ResponseColumnName), nameof(Options.OutputColumnName),
        nameof(Options.GradientCheckpointing),
    ];

    private static readonly PropertyInfo[] s_options =
    [
        .. typeof(Options).GetProperties().Where(option => option.SetMethod is { IsPublic: true })
            .OrderBy(option => option.Name, StringComparer.Ordinal),
    ];

    private static readonly PropertyInfo[] s_written =
        [.. s_options.Where(option => !s_local.Contains(option.Name, StringComparer.Ordinal))];

    /// <summary>The options that a sweep can vary.</summary>
    public static IReadOnlyList<string> Sweepable { get; } =
    [
        .. s_written.Where(option => IsScalar(option.PropertyType) && !s_ofTheBaseModel.Contains(option.Name, StringComparer.Ordinal))
            .Select(option => option.Name),
    ];

    /// <summary>Whether an option can make a trial come out otherwise.</summary>
    public static bool Decides(string name) => !s_indifferent.Contains(name, StringComparer.Ordinal);

    /// <summary>What an option is where nobody sets it; null where there is no such option.</summary>
    public static string? Default(string name) =>
        new Options().ToTexts().FirstOrDefault(option => string.Equals(option.Key, name, StringComparison.Ordinal)).Value;

    /// <summary>A copy, so that what was checked is what is used.</summary>
    public static Options Copy(this Options options)
    {
        var copy = new Options();
        foreach (PropertyInfo option in s_options)
        {
            object? value = option.GetValue(options);
            option.SetValue(copy, value is IReadOnlyList<string> names ? names.ToArray() : value);
        }

        return copy;
    }

    /// <summary>Every option as text, but for the model's folder and what belongs to this process.</summary>
    public static IEnumerable<KeyValuePair<string, string>> ToTexts(this Options options) =>
        s_written.Select(option => KeyValuePair.Create(option.Name, option.GetValue(options) switch
        {
            PromptTemplate template => TextOf(template),
            GenerationOptions or RankBudget or GradientProjection or LayerSampling =>
                JsonSerializer.Serialize(option.GetValue(options), option.PropertyType),
            var value => ParameterText.Of(value),
        }));

    /// <summary>Sets an option to what <see cref="ToTexts"/> or a search space wrote.</summary>
    /// <exception cref="ArgumentException">There is no such option, or the text is none of its values.</exception>
    public static void Set(this Options options, string name, string text)
    {
        PropertyInfo option = s_written.FirstOrDefault(option => string.Equals(option.Name, name, StringComparison.Ordinal))
            ?? throw new ArgumentException(
                $"'{name}' is no option of the trainer. A sweep can vary {string.Join(", ", Sweepable)}.", nameof(name));
        try
        {
            option.SetValue(options, Parse(option.PropertyType, text));
        }
        catch (Exception e) when (e is FormatException or OverflowException or ArgumentException or JsonException)
        {
            bool isWhole = (Nullable.GetUnderlyingType(option.PropertyType) ?? option.PropertyType) == typeof(int);
            string remedy = isWhole ? $"Use {nameof(UniformIntOption)}, or whole numbers as choices" : "Use values of that type";
            throw new ArgumentException(
                $"{name}: '{text}' is no value of an option of type {TypeName(option.PropertyType)}. {remedy}.", name, e);
        }
    }

    private static object? Parse(Type type, string text)
    {
        if (Nullable.GetUnderlyingType(type) is { } underlying)
        {
            return text == ParameterText.Null ? null : Parse(underlying, text);
        }

        return type switch
        {
            _ when type == typeof(double) => double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture),
            _ when type == typeof(int) => int.Parse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture),
            _ when type == typeof(bool) => bool.Parse(text),
            _ when type == typeof(string) => text,
            _ when type.IsEnum => Enum.Parse(type, text),
            _ when type == typeof(PromptTemplate) => ParseTemplate(text),
            _ when type == typeof(IReadOnlyList<string>) => text.Split(','),
            _ when text == ParameterText.Null => null,
            _ => JsonSerializer.Deserialize(text, type),
        };
    }

    private static string TextOf(PromptTemplate template)
    {
        bool isChat = template == PromptTemplate.Chat with { SplitSpecialTokens = template.SplitSpecialTokens };
        string mark = template.SplitSpecialTokens == isChat ? "" : template.SplitSpecialTokens ? SplitMark : FoundMark;
        return mark + (isChat ? ChatTemplate : FormatMark + template);
    }

    private static PromptTemplate ParseTemplate(string text) =>
        text.StartsWith(SplitMark, StringComparison.Ordinal)
        ? ParseTemplate(text[SplitMark.Length..]) with { SplitSpecialTokens = true }
        : text.StartsWith(FoundMark, StringComparison.Ordinal)
        ? ParseTemplate(text[FoundMark.Length..]) with { SplitSpecialTokens = false }
        : text == ChatTemplate ? PromptTemplate.Chat
        : text.StartsWith(FormatMark, StringComparison.Ordinal) ? PromptTemplate.Format(text[FormatMark.Length..])
        : throw new FormatException($"A prompt template is written as '{ChatTemplate}', or begins with '{FormatMark}'.");

    private static bool IsScalar(Type type)
    {
        Type bare = Nullable.GetUnderlyingType(type) ?? type;
        return bare.IsEnum || bare == typeof(double) || bare == typeof(int) || bare == typeof(bool)
            || bare == typeof(IReadOnlyList<string>);
    }

    private static string TypeName(Type type) => Nullable.GetUnderlyingType(type) is { } bare ? $"{TypeName(bare)}?" : type.Name;
}
