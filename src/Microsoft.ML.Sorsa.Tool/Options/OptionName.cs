using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tool.Options;

/// <summary>The library's names as the command line has them: MaxNewTokens is --max-new-tokens.</summary>
internal static partial class OptionName
{
    private static readonly HashSet<string> s_all =
        [.. typeof(SorsaFineTuningTrainer.Options).GetProperties().Select(option => option.Name)];

    /// <summary>Names that are several words: in a message they can be nothing else.</summary>
    private static readonly HashSet<string> s_known =
        [.. s_all.Where(name => Word.Count(name) > 1)];

    public static string Of(params IEnumerable<string> names) => "--" + string.Join('-', names.Select(Kebab));

    /// <summary>Case, hyphens and underlines aside, so that run.json may have either spelling.</summary>
    public static string Bare(string name) => string.Concat(name.Where(c => c is not ('-' or '_'))).ToLowerInvariant();

    /// <summary>A message with the trainer's options called as on the command line.</summary>
    /// <param name="message">The library's.</param>
    /// <param name="subject">The name that it is about, which it begins with; null: none.</param>
    public static string In(string message, string? subject = null)
    {
        if (Subject.Match(message) is { Success: true } begins && (begins.Value == subject || s_all.Contains(begins.Value.Split('.')[0])))
        {
            return Of(begins.Value.Split('.')) + In(message[begins.Length..]);
        }

        message = Assigned.Replace(message, match => s_all.Contains(match.Value) ? Of(match.Value) : match.Value);
        return Identifier.Replace(message, match => s_known.Contains(match.Value) ? Of(match.Value) : match.Value);
    }

    /// <summary>What .NET itself says of a parameter that is an option, as the library's own errors say it.</summary>
    public static string OfFramework(string message, string parameter)
    {
        string name = char.ToUpperInvariant(parameter[0]) + parameter[1..];
        return !s_all.Contains(name) ? message
            : message.StartsWith("The value cannot be an empty string", StringComparison.Ordinal) ? $"{Of(name)} is empty. Give it a value."
            : Range.Replace(message, match => $"{Of(name)} is {match.Groups[1]}; it must be {match.Groups[2]}");
    }

    private static string Kebab(string name) => Boundary.Replace(name, "-").ToLowerInvariant();

    /// <summary>What a message is about: "Rank is 0", "RankBudget.Interval is 0", "Rank: ...".</summary>
    [GeneratedRegex(@"^[A-Z]\w+(\.[A-Z]\w+)?(?= is |: )")]
    private static partial Regex Subject { get; }

    /// <summary>What a remedy sets: "with Rank = 8".</summary>
    [GeneratedRegex(@"(?<=\b(with|and|Set|Use) )[A-Z]\w+(?= = )")]
    private static partial Regex Assigned { get; }

    /// <summary>"maxPromptLength ('0') must be greater than or equal to '1'.".</summary>
    [GeneratedRegex(@"^\w+ \('(.*?)'\) must be (.*)$")]
    private static partial Regex Range { get; }

    [GeneratedRegex("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")]
    private static partial Regex Boundary { get; }

    [GeneratedRegex("[A-Z]+[a-z0-9]*")]
    private static partial Regex Word { get; }

    // PromptTemplate.Alpaca and options.Rank are C#, and stay.
    [GeneratedRegex(@"(?<![\w.'])[A-Z]\w+(?![\w.'(]\w|\()")]
    private static partial Regex Identifier { get; }
}
