using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tool.Options;

/// <summary>The library's names as the command line has them: MaxNewTokens is --max-new-tokens.</summary>
internal static partial class OptionName
{
    /// <summary>Names that are several words: in a message they can be nothing else.</summary>
    private static readonly HashSet<string> s_known =
        [.. typeof(SorsaFineTuningTrainer.Options).GetProperties().Select(option => option.Name).Where(name => Word.Count(name) > 1)];

    public static string Of(params IEnumerable<string> names) => "--" + string.Join('-', names.Select(Kebab));

    /// <summary>Case and hyphens aside, so that run.json may have either spelling.</summary>
    public static string Bare(string name) => name.Replace("-", "", StringComparison.Ordinal).ToLowerInvariant();

    /// <summary>A message with the trainer's options called as on the command line.</summary>
    /// <param name="message">The library's.</param>
    /// <param name="subject">The name that it is about, which it begins with; null: none.</param>
    public static string In(string message, string? subject = null)
    {
        if (subject is { Length: > 0 } && char.IsUpper(subject[0]) && message.StartsWith(subject + " is ", StringComparison.Ordinal))
        {
            return Of(subject.Split('.')) + In(message[subject.Length..]);
        }

        return Identifier.Replace(message, match => s_known.Contains(match.Value) ? Of(match.Value) : match.Value);
    }

    private static string Kebab(string name) => Boundary.Replace(name, "-").ToLowerInvariant();

    [GeneratedRegex("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")]
    private static partial Regex Boundary { get; }

    [GeneratedRegex("[A-Z]+[a-z0-9]*")]
    private static partial Regex Word { get; }

    // PromptTemplate.Alpaca and options.Rank are C#, and stay.
    [GeneratedRegex(@"(?<![\w.'])[A-Z]\w+(?![\w.'(]\w|\()")]
    private static partial Regex Identifier { get; }
}
