using System.CommandLine;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tool.Options;

// Microsoft.ML.Command is a namespace.
using Command = System.CommandLine.Command;

/// <summary>What the library says, with options and remedies called as a verb has them.</summary>
/// <param name="options">The verb's options.</param>
internal sealed partial class Wording(IReadOnlyCollection<string> options)
{
    private static readonly HashSet<string> s_trainer =
        [.. typeof(SorsaFineTuningTrainer.Options).GetProperties().Select(option => option.Name)];

    /// <summary>Parameters of the library's methods that are other words here.</summary>
    private static readonly Dictionary<string, string> s_parameters = new(StringComparer.Ordinal)
    {
        ["maxModel"] = "--trials",
        ["trials"] = "--concurrent-trials",
        ["threads"] = "--threads-per-trial",
        ["questions"] = "--choices",
        ["data"] = "rows",
        ["input"] = "rows",
        ["trainData"] = "rows",
    };

    /// <summary>Where no verb is known, the trainer's options.</summary>
    public static Wording OfTrainer { get; } = new([]);

    /// <param name="verb">Its options, and those of the command itself.</param>
    public static Wording Of(Command verb) => new(
    [
        .. new[] { verb }.Concat(verb.Parents.OfType<Command>()).SelectMany(command => command.Options).Select(option => option.Name),
    ]);

    /// <param name="message">The library's.</param>
    /// <param name="subject">The parameter that it is about, which it begins with; null: none.</param>
    public string In(string message, string? subject = null)
    {
        message = ProgramWords.Replace(subject is null ? message : OfFramework(message, subject));
        if (Subject.Match(message) is { Success: true, Value: var begins }
            && (s_parameters.GetValueOrDefault(begins) ?? Find(begins, begins == subject) ?? OfOther(begins, subject)) is { } option)
        {
            return option + Within(message[begins.Length..]);
        }

        return Within(message);
    }

    private string Within(string message) => Quotation.Around(message, Renamed);

    private string Renamed(string text)
    {
        text = Assigned.Replace(text, match => s_trainer.Contains(match.Value) ? OptionName.Of(match.Value) : match.Value);
        text = Word.Replace(text, match => options.Contains(OptionName.Of(match.Value)) ? OptionName.Of(match.Value) : match.Value);
        return Identifier.Replace(text, match => Find(match.Value) ?? match.Value);
    }

    /// <summary>The verb's option of a name of the library; of an object's options, the one that ends so. Null: there is none.</summary>
    /// <param name="name">The library's.</param>
    /// <param name="isSubject">Whether it is known to be an option. Otherwise one word may be English, and ends many an option.</param>
    private string? Find(string name, bool isSubject = false)
    {
        string option = OptionName.Of(name.Split('.'));
        bool maySomethingEndSo = isSubject || option[2..].Contains('-', StringComparison.Ordinal);
        string[] ends = options.Contains(option) ? [option]
            : maySomethingEndSo ? [.. options.Where(longer => longer.EndsWith(option[1..], StringComparison.Ordinal))] : [];
        return ends.Length == 1 ? ends[0] : s_trainer.Contains(name) ? option : null;
    }

    /// <summary>An option that the verb has not: of run.json, or of an object that is checked alone. Null: it is none.</summary>
    private static string? OfOther(string begins, string? subject) =>
        (begins == subject && char.IsUpper(begins[0])) || s_trainer.Contains(begins.Split('.')[0])
            ? OptionName.Of(begins.Split('.'))
            : null;

    /// <summary>What .NET itself says of a parameter that is an option, as the library's own errors say it.</summary>
    private string OfFramework(string message, string parameter) =>
        Find(char.ToUpperInvariant(parameter[0]) + parameter[1..], isSubject: true) is not { } option ? message
        : message.StartsWith("The value cannot be an empty string", StringComparison.Ordinal) ? $"{option} is empty. Give it a value."
        : Range.Replace(message, match => $"{option} is {match.Groups[1]}; it must be {match.Groups[2]}");

    /// <summary>What a message is about: "Rank is 0", "RankBudget.Interval is 0", "windowLength is 0", "Rank: ...".</summary>
    [GeneratedRegex(@"^[A-Za-z]\w+(\.[A-Z]\w+)?(?= is |: )")]
    private static partial Regex Subject { get; }

    /// <summary>What a remedy sets: "with Rank = 8".</summary>
    [GeneratedRegex(@"(?<=\b(with|and|Set|Use) )[A-Z]\w+(?= = )")]
    private static partial Regex Assigned { get; }

    /// <summary>A name of one word within a sentence, where a word of English is small: "and Triplets is Leading".</summary>
    [GeneratedRegex(@"(?<=[a-z0-9,(] |\()[A-Z][a-z]+\b(?![.'(=/\\-]\w|\(| =)")]
    private static partial Regex Word { get; }

    /// <summary>"maxPromptLength ('0') must be greater than or equal to '1'.".</summary>
    [GeneratedRegex(@"^\w+ \('(.*?)'\) must be (.*)$")]
    private static partial Regex Range { get; }

    /// <summary>A name of several words, which can be nothing else: RankBudget.Interval, windowLength.</summary>
    [GeneratedRegex(@"(?<![\w.'/\\-])([A-Z]\w+\.[A-Z]\w+|[A-Za-z][a-z0-9]+[A-Z]\w*)\b(?![.'(/\\]\w|\()")]
    private static partial Regex Identifier { get; }
}
