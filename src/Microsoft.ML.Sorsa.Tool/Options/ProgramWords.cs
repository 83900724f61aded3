using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tool.Options;

/// <summary>What the library tells programs to write, and what a user of the command line does instead.</summary>
internal static partial class ProgramWords
{
    /// <summary>Types whose members are values of an option.</summary>
    private static readonly Dictionary<string, string> s_values = new(StringComparer.Ordinal)
    {
        ["AdapterFormat"] = "--format",
        ["AnswerGraders"] = "--grader",
        ["PromptTemplate"] = "--prompt-template",
        ["SweepMetric"] = "--metric",
    };

    /// <summary>In this order: one that is part of another stands behind it.</summary>
    private static readonly (string Program, string CommandLine)[] s_phrases =
    [
        ("mlContext.Sorsa().", ""),
        ("Save or mlContext.Model.Save wrote", "sorsa export --format zip wrote"),
        ("A model zip is loaded with LoadZip; unpack any other, and name the folder",
            "Here a model's folder is needed: sorsa export --format hf makes one of a model zip; unpack any other"),
        ("LoadZip gives the one that a zip has", "sorsa takes the one that a zip has"),
        ("Load it with mlContext.Model.Load and take what you need out of it", "Take what you need out of it in a program with ML.NET"),
        ("Load it with mlContext.Data.LoadFromTextFile, which also reads quoted fields (allowQuoting: true)",
            "Call the file .csv or .tsv, with names in its first line"),
        ("open its base with LoadModel, and put the adapter onto it with LoadAdapter",
            "name its base; sorsa merge makes one model of the two"),
        ("open it with LoadModel", "name it as the model"),
        ("open that with LoadModel", "name that as the model"),
        ("whole model with LoadModel", "whole model"),
        ("Open the base with LoadModel", "Name the base as the model"),
        ("is opened with LoadModel", "is named as it is"),
        ("Use new GenerationOptions()", "Leave it out"),
        ("Name a folder that SaveAdapter or PEFT wrote", "Name a folder with an adapter that sorsa or PEFT wrote"),
        ("Call Fit(train, validation)", "Name rows with --validation-data or --validation-fraction"),
        ("with TrainTestSplit", "with --validation-fraction"),
        ("a study (SetStudy) goes on", "the same command goes on"),
        ("Leave out or shorten the oldest messages (UseChatReducer of Microsoft.Extensions.AI does)", "Shorten the message"),
        ("as a ChoiceOption", "as a choice"),
        ("; AnswerGraders has the ready ones", ""),
        ("AdapterFormat.Sorsa", "--format adapter"),
        ("PromptTemplate.Format", "a text with {prompt} in it"),
        (", which a chat client takes as SorsaChatOptions.Template; it has no place for tools", ""),
        ("SaveHuggingFace", "sorsa export --format hf"),
        ("SaveGguf", "sorsa export --format gguf"),
        ("mlContext.Model.Save", "sorsa export --format zip"),
    ];

    public static string Replace(string message)
    {
        // What these two put in quotes is the library's.
        message = OwnTemplate.Replace(message, "--prompt-template $1");
        message = Varied.Replace(message, match => $"--vary names '{OptionName.Of(match.Groups[1].Value.Split('.'))[2..]}'");
        return Quotation.Around(message, Phrases);
    }

    private static string Phrases(string text)
    {
        foreach ((string program, string commandLine) in s_phrases)
        {
            text = text.Replace(program, commandLine, StringComparison.Ordinal);
        }

        text = Unset.Replace(text, "$1 out");
        return Member.Replace(text, match => s_values.TryGetValue(match.Groups[1].Value, out string? option)
            ? $"{option} {OptionName.Kebab(match.Groups[2].Value)}"
            : match.Value);
    }

    /// <summary>PromptTemplate.Format("... {prompt} ...").</summary>
    [GeneratedRegex("""PromptTemplate\.Format\(("[^"]*")\)""")]
    private static partial Regex OwnTemplate { get; }

    /// <summary>What is null where nobody sets it: "Leave it null".</summary>
    [GeneratedRegex(@"(\b[Ll]eave [\w-]+) null\b")]
    private static partial Regex Unset { get; }

    /// <summary>The search space has 'RankBudget.Interval'.</summary>
    [GeneratedRegex(@"^The search space has '([\w.]+)'")]
    private static partial Regex Varied { get; }

    /// <summary>AdapterFormat.LoraDifference.</summary>
    [GeneratedRegex(@"(?<![\w.'])([A-Z]\w+)\.([A-Z]\w+)")]
    private static partial Regex Member { get; }
}
