using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tool;
using Microsoft.ML.Sorsa.Tool.Options;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>Every option of the library is one of the command line and of run.json, under its own name.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed class ToolOptionsTests
{
    /// <summary>What a program hands over. A new option of another type is on the command line, or this test says so.</summary>
    private static readonly string[] s_ofTheProcess = [nameof(Options.Progress), nameof(Options.CancellationToken), nameof(Options.Ranks)];

    public static IEnumerable<object[]> OptionsOfTheTrainer => typeof(Options).GetProperties()
        .Where(option => option.SetMethod is { IsPublic: true } && !s_ofTheProcess.Contains(option.Name))
        .Select(option => new object[] { option.Name });

    public static IEnumerable<object[]> Keys => new OptionTable<Options>().Entries.Select(entry => new object[] { entry.Key });

    [TestMethod]
    [DynamicData(nameof(OptionsOfTheTrainer))]
    public void AnOptionOfTheTrainerIsOneOfTrain(string name)
    {
        string kebab = "--" + string.Concat(name.Select((c, i) => i > 0 && char.IsUpper(c) ? $"-{char.ToLowerInvariant(c)}"
            : $"{char.ToLowerInvariant(c)}"));

        string[] train = [.. SorsaTool.Create(new Shell(TextReader.Null)).Subcommands.Single(verb => verb.Name == "train")
            .Options.Select(option => option.Name)];

        Assert.IsTrue(train.Any(option => option == kebab || option.StartsWith(kebab + "-", StringComparison.Ordinal)), kebab);
    }

    [TestMethod]
    public void NamesAreThoseOfTheLibrary()
    {
        string[] train = [.. new OptionTable<Options>().Entries.Select(entry => entry.Name)];

        string[] some =
        [
            "--model-folder", "--rank", "--adam-beta1", "--max-grad-norm", "--prompt-template", "--prompt-template-split-special-tokens",
            "--generation-max-new-tokens", "--generation-top-p", "--rank-budget", "--rank-budget-target-rank",
            "--layer-sampling-interval-steps", "--analysis", "--analysis-steps", "--resume",
        ];
        Assert.IsEmpty(some.Except(train));
    }

    /// <summary>Each alone, set to another value than its default: it arrives, and comes back out of JSON.</summary>
    [TestMethod]
    [DynamicData(nameof(Keys))]
    public void AnOptionArrivesAndIsWrittenDown(string key)
    {
        var table = new OptionTable<Options>();
        OptionEntry entry = table.Entries.Single(entry => entry.Key == key);
        (string text, object? expected) = Other(entry);
        var command = new System.CommandLine.RootCommand();
        table.AddTo(command);

        Options options = table.Apply(command.Parse([entry.Name, text]), new Options());
        var read = new Options();
        IReadOnlyList<string> unknown = table.Apply(Element(table.ToJson(options)), read);

        Assert.IsEmpty(unknown);
        Assert.AreEqual(Text(expected), Text(Value(options, entry)));
        Assert.AreEqual(Text(expected), Text(Value(read, entry)));
        Assert.AreEqual(table.ToJson(options).ToJsonString(), table.ToJson(read).ToJsonString());
        Assert.AreNotEqual(table.ToJson(new Options()).ToJsonString(), table.ToJson(options).ToJsonString());
    }

    /// <summary>Names as on the command line, or as in C#, flat or nested.</summary>
    [TestMethod]
    [DataRow("""{"generation-max-new-tokens": 7, "rank": 3}""")]
    [DataRow("""{"Generation": {"MaxNewTokens": 7}, "Rank": 3}""")]
    [DataRow("""{"generation": {"max-new-tokens": "7"}, "RANK": "3"}""")]
    [DataRow("""{"GenerationMaxNewTokens": 7, "Rank": 3}""")]
    public void JsonMayHaveEitherSpelling(string json)
    {
        var options = new Options();

        IReadOnlyList<string> unknown = new OptionTable<Options>().Apply(Element(JsonNode.Parse(json)!), options);

        Assert.IsEmpty(unknown);
        Assert.AreEqual((7, 3), (options.Generation.MaxNewTokens, options.Rank));
    }

    [TestMethod]
    public void WhatIsSharedIsNotChanged()
    {
        var table = new OptionTable<Options>();
        var command = new System.CommandLine.RootCommand();
        table.AddTo(command);

        Options options = table.Apply(command.Parse(["--prompt-template-split-special-tokens"]), new Options());

        Assert.IsTrue(options.PromptTemplate.SplitSpecialTokens);
        Assert.IsFalse(PromptTemplate.Alpaca.SplitSpecialTokens);
    }

    [TestMethod]
    public void AnOptionThatCannotBeWrittenIsAnErrorOfTheTable() =>
        Assert.Contains("Unwritable", Assert.ThrowsExactly<NotSupportedException>(() => new OptionTable<Unwritable>()).Message);

    [TestMethod]
    public void OtherTypesOfOptionsHaveTablesToo()
    {
        Assert.IsNotEmpty(new OptionTable<GenerationOptions>().Entries);
        Assert.IsNotEmpty(new OptionTable<EvaluationOptions>().Entries);
        Assert.IsNotEmpty(new OptionTable<AnalysisOptions>().Entries);
        Assert.IsNotEmpty(new OptionTable<PruningOptions>().Entries);
    }

    [TestMethod]
    public void HelpIsTheLibrarysDocumentation()
    {
        string help = SorsaCommand.Run("train", "--help").Succeeds().Output;

        Assert.Contains("The share of the steps, rounded up, over which the learning rate rises from 0.", help);
        Assert.Contains("--method <Sorsa|Lora|", help);
    }

    private static (string Text, object? Value) Other(OptionEntry entry)
    {
        Type type = Nullable.GetUnderlyingType(entry.Property.PropertyType) ?? entry.Property.PropertyType;
        object? now = Value(new Options(), entry);
        return entry.IsSection ? ("true", Activator.CreateInstance(type))
            : type == typeof(bool) ? (now is true ? "false" : "true", now is not true)
            : type == typeof(int) ? ("37", 37)
            : type == typeof(double) ? ("0.37", 0.37)
            : type == typeof(string) ? ("another", "another")
            : type.IsEnum ? (Enum.GetNames(type)[^1].ToLowerInvariant(), Enum.GetValues(type).Cast<object>().Last())
            : type == typeof(PromptTemplate) ? ("Q: {prompt}\nA:", PromptTemplate.Format("Q: {prompt}\nA:"))
            : type == typeof(IReadOnlyList<string>) ? ("one_a,two_b", new[] { "one_a", "two_b" })
            : throw new NotSupportedException($"{entry.Key} is a {type}: say here what another value of it is.");
    }

    private static object? Value(Options options, OptionEntry entry) =>
        entry.Path.Aggregate((object?)options, (owner, property) => owner is null ? null : property.GetValue(owner));

    private static string Text(object? value) => value is IEnumerable<string> texts ? string.Join('|', texts) : $"{value}";

    private static JsonElement Element(JsonNode json) => JsonSerializer.SerializeToElement(json);

    private sealed class Unwritable
    {
        public Func<int>? Callback { get; set; }
    }
}
