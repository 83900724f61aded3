using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tool.Options;

/// <summary>What help says of options: the library's own documentation, which lies beside it.</summary>
internal static partial class Documentation
{
    private static readonly Type[] s_documented = [typeof(SorsaFineTuningTrainer), typeof(SorsaExperiment)];

    /// <summary>Describes options from the documentation of their properties.</summary>
    /// <param name="entries">The options.</param>
    /// <param name="wording">What the verb calls options.</param>
    public static void Describe(IEnumerable<OptionEntry> entries, Wording wording)
    {
        Dictionary<string, string> summaries = s_documented
            .Select(type => Path.ChangeExtension(type.Assembly.Location, ".xml")).Where(File.Exists)
            .SelectMany(path => XDocument.Load(path).Descendants("member"))
            .Where(member => member.Attribute("name")!.Value.StartsWith("P:", StringComparison.Ordinal))
            .DistinctBy(member => member.Attribute("name")!.Value, StringComparer.Ordinal)
            .ToDictionary(
                member => member.Attribute("name")!.Value[2..], member => Text(member.Element("summary")), StringComparer.Ordinal);
        foreach (OptionEntry entry in entries)
        {
            string? summary = summaries.GetValueOrDefault(Member(entry.Property))
                ?? summaries.GetValueOrDefault($"{Member(typeof(SorsaFineTuningTrainer.Options))}.{entry.Property.Name}");
            entry.Option.Description ??= summary is null ? null : wording.In(summary);
        }
    }

    private static string Member(MemberInfo member) => member is Type type
        ? type.FullName!.Replace('+', '.')
        : $"{Member(member.DeclaringType!)}.{member.Name}";

    /// <summary>The first sentence, and those that say default and range.</summary>
    private static string Text(XElement? summary)
    {
        if (summary is null)
        {
            return "";
        }

        string text = string.Concat(summary.DescendantNodes().Select(node => node switch
        {
            XElement { Name.LocalName: "see" } see => Reference(see),
            XText words => words.Value,
            _ => "",
        }));
        string[] sentences = SentenceEnd.Split(WhiteSpace.Replace(text.Trim(), " "));
        return string.Join(
            ' ', sentences.Where((sentence, i) => i == 0 || sentence.StartsWith("Default", StringComparison.Ordinal)));
    }

    private static string Reference(XElement see)
    {
        string name = see.Attribute("cref")?.Value ?? see.Attribute("langword")?.Value ?? "";
        return name.Split('(')[0].Split('.')[^1];
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex WhiteSpace { get; }

    [GeneratedRegex(@"(?<=\.) (?=[A-ZΑ-Ω0-9])")]
    private static partial Regex SentenceEnd { get; }
}
