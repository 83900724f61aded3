using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tool;
using Microsoft.ML.Sorsa.Tool.Options;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>The command line says what a user of it can write, whatever the library tells programs.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed partial class WordingTests
{
    /// <summary>Whose texts no verb shows: of model objects, options of chat clients, ranks, streams; and model cards.</summary>
    private static readonly string[] s_ofPrograms =
    [
        "Interop", "bin", "obj", "AdapterTurns.cs", "Archive.cs", "ChatSettings.cs", "FineTuningSettings.cs", "ModelCard.cs",
        "ModuleModel.cs", "RankSetups.cs", "SorsaAdapterOptions.cs", "SorsaChatOptions.cs", "SorsaEmbeddingGenerator.cs",
    ];

    /// <summary>Texts of the chat client about requests that no verb makes: with tools, or for another model.</summary>
    private static readonly string[] s_ofRequests = ["ChatOptions.ModelId is ", "has: set SorsaChatOptions.Template to "];

    /// <summary>Names of the library that are no English and no value of an option: types, methods, properties, parameters.</summary>
    private static readonly HashSet<string> s_names = [.. Names()];

    [TestMethod]
    [DataRow("generate", "MaxNewTokens is 0.", "--max-new-tokens is 0.")]
    [DataRow("train", "MaxNewTokens is 0.", "--generation-max-new-tokens is 0.")]
    [DataRow("train", "Lower Gamma, or raise WarmupRatio (now 1).", "Lower --gamma, or raise --warmup-ratio (now 1).")]
    [DataRow("train", "RankBudget.Interval is 0", "--rank-budget-interval is 0")]
    [DataRow("train", "Use one of Alpha, Rank, MaxSteps.", "Use one of --alpha, --rank, --max-steps.")]
    [DataRow("analyze", "TargetModules is x. Rank of a matrix.", "--target-modules is x. Rank of a matrix.")]
    [DataRow("eval", "windowLength is 1; leave it null for 8", "--window-length is 1; leave it out for 8")]
    [DataRow("export", "Choose AdapterFormat.LoraDifference or AdapterFormat.Sorsa", "Choose --format lora-difference or --format adapter")]
    [DataRow("eval", "such as AnswerGraders.LastNumber, or Perplexity to true", "such as --grader last-number, or --perplexity to true")]
    [DataRow("train", "The file 'Rank', 'MaxSteps.json' and Seed.txt", "The file 'Rank', 'MaxSteps.json' and Seed.txt")]
    [DataRow("generate", "of your own: PromptTemplate.Format(\"a {prompt}\")", "of your own: --prompt-template \"a {prompt}\"")]
    public void NamesAreThoseOfTheVerb(string verb, string message, string expected) =>
        Assert.AreEqual(expected, Wording.Of(Verb(verb)).In(message));

    /// <summary>Paths, columns and values are the user's, with whatever words in them.</summary>
    [TestMethod]
    [DataRow("generate", "There is no file '/home/ann/Test Data/rows.jsonl'.")]
    [DataRow("train", "There is no file '/data/my MaxSteps runs/x.jsonl'.")]
    [DataRow("train", "There is no file \"/data/my MaxSteps runs/and Seed/x.jsonl\".")]
    [DataRow("train", "There is no file '/home/ann's and Seed/x.jsonl'.")]
    [DataRow("eval", "There is no column 'a'. The columns there: 'Id', 'Text', 'and Grader'.")]
    [DataRow("train", "There is no file '/data/SaveGguf/rows.jsonl', nor '/data/AnswerGraders.LastNumber/x'.")]
    [DataRow("train", "'x' is none of the choices 'leave it null', 'with TrainTestSplit'.")]
    [DataRow("train", "It holds Seeds.txt, and Ranks.csv, in a Seed/x and in C:\\Rank\\MaxSteps.")]
    [DataRow("train", "The files are x, Seeds.txt and MaxSteps.txt")]
    [DataRow("train", "Fraction is a word of mathematics, and Interval is one, too.")]
    public void WhatTheUserWroteStaysAsItIs(string verb, string message) =>
        Assert.AreEqual(message, Wording.Of(Verb(verb)).In(message));

    [TestMethod]
    [DataRow("The file's Rank and the files' MaxSteps ('MaxSteps')", "The file's --rank and the files' --max-steps ('MaxSteps')")]
    [DataRow("Lower Gamma ('Gamma', \"Rank\"), or raise WarmupRatio", "Lower --gamma ('Gamma', \"Rank\"), or raise --warmup-ratio")]
    [DataRow("LoadZip gives the one that a zip has, of 'LoadZip'", "sorsa takes the one that a zip has, of 'LoadZip'")]
    public void WhatIsSaidAroundQuotesIsReworded(string message, string expected) =>
        Assert.AreEqual(expected, Wording.Of(Verb("train")).In(message));

    /// <summary>An object that is checked alone calls its option by one word, which in a sentence might be English.</summary>
    [TestMethod]
    [DataRow("Interval", "Interval is 0", "--rank-budget-interval is 0")]
    [DataRow("interval", "interval ('0') must be greater than '0'.", "--rank-budget-interval is 0; it must be greater than '0'.")]
    [DataRow(null, "Interval is 0", "Interval is 0")]
    public void OneWordIsAnOptionOfAnObjectWhereItIsTheArgument(string? argument, string message, string expected) =>
        Assert.AreEqual(expected, Wording.Of(Verb("train")).In(message, argument));

    /// <summary>What the command line itself says names options as they are, and beside them the user's words alone.</summary>
    [TestMethod]
    public void WhatTheCommandLineSaysItselfStays()
    {
        var said = new CommandException(ExitCode.Usage, "It has Id, Seed, and MaxSteps.");

        Assert.AreEqual(said.Message, Failure.Of(said, Wording.Of(Verb("train"))).Message);
    }

    /// <summary>Every text in the library's sources that names what only programs have, as a verb says it.</summary>
    [TestMethod]
    public void NoTextOfTheLibraryNamesWhatOnlyProgramsHave()
    {
        string source = Path.Combine(TestData.Root, "src", "Microsoft.ML.Sorsa");
        var left = new List<string>();
        int seen = 0;
        foreach (string file in Directory.EnumerateFiles(source, "*.cs", SearchOption.AllDirectories)
            .Where(file => !Path.GetRelativePath(source, file).Split('/', '\\').Any(s_ofPrograms.Contains)))
        {
            // What stands in braces is a value, but for names.
            string code = Hole.Replace(NameOf.Replace(File.ReadAllText(file), "$1"), "");
            foreach (string text in Text.Matches(code).Select(text => text.Value).Where(text => Words(text).Any()
                && !s_ofRequests.Append("?? $").Any(other => text.Contains(other, StringComparison.Ordinal))))
            {
                seen++;
                left.AddRange(Words(Wording.Of(Verb("train")).In(text[1..^1])).Select(name => $"{Path.GetFileName(file)}: {name}: {text}"));
            }
        }

        Assert.IsGreaterThan(10, seen);
        Assert.IsEmpty(left, string.Join('\n', left));
    }

    /// <summary>What in a line is C#: names of the library, and what stands for a call.</summary>
    public static string WordsOfPrograms(string line) => string.Join(' ', Quoted.Replace(line, "").Split(' ', '(', ')')
        .Select(word => word.Trim('.', ',', ';', ':')).Where(word => word.Split('.').Any(s_names.Contains)));

    private static IEnumerable<string> Words(string text) =>
        Regex.Matches(text, @"\w+").Select(word => word.Value).Where(s_names.Contains);

    private static IEnumerable<string> Names()
    {
        const BindingFlags Own = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        IEnumerable<Type> types = new[] { typeof(SorsaCatalog), typeof(SorsaExperiment) }
            .SelectMany(type => type.Assembly.GetExportedTypes()).Where(type => !type.IsEnum);
        return types.SelectMany(type => type.GetMembers(Own).Where(member => member is MethodInfo { IsSpecialName: false } or PropertyInfo)
                .Select(member => member.Name).Append(type.Name))
            .Append("mlContext").Append("UseChatReducer").Where(name => SeveralWords.IsMatch(name))
            .Except(typeof(AnswerGraders).GetMembers().Select(grader => grader.Name));
    }

    private static System.CommandLine.Command Verb(string name) => Microsoft.ML.Sorsa.Tool.SorsaTool.Create(new(TextReader.Null))
        .Subcommands.Single(verb => verb.Name == name);

    [GeneratedRegex("'[^']*'")]
    private static partial Regex Quoted { get; }

    [GeneratedRegex("[a-z0-9][A-Z]")]
    private static partial Regex SeveralWords { get; }

    /// <summary>A text with words in it.</summary>
    [GeneratedRegex(@"""[^""\n]*\w \w[^""\n]*""")]
    private static partial Regex Text { get; }

    [GeneratedRegex(@"\{nameof\((?:\w+\.)*(\w+)\)\}")]
    private static partial Regex NameOf { get; }

    [GeneratedRegex(@"(?<=\$"".*)\{[^{}""]*\}")]
    private static partial Regex Hole { get; }
}
