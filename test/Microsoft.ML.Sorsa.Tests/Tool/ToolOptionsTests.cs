using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tool;
using Microsoft.ML.Sorsa.Tool.Inputs;
using Microsoft.ML.Sorsa.Tool.Options;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>Every option of the library is one of the command line and of run.json, under its own name.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed class ToolOptionsTests
{
    private static readonly string[] s_ranges =
        ["; it must be at least ", "; it must be at most ", "; it must be between ", "; it must be above "];

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

    /// <summary>
    /// Every kind of JSON value at every option: it is taken as what it says, or refused in one line that names the option. What is taken
    /// is said here, by the option's type.
    /// </summary>
    [TestMethod]
    [DynamicData(nameof(Keys))]
    public void AJsonValueIsTakenAsWhatItSaysOrRefused(string key) => Verify(new OptionTable<Options>(), key);

    [TestMethod]
    [DataRow("Data")]
    [DataRow("ValidationData")]
    [DataRow("ValidationFraction")]
    [DataRow("Ask")]
    public void SoItIsOfRowsAndQuestions(string key) => Verify(new OptionTable<RunRows>(), key);

    /// <summary>What has options is an object, and an object is nothing else.</summary>
    [TestMethod]
    [DataRow("""{"Generation": 5}""", "'Generation' is 5; it must be an object with its options")]
    [DataRow("""{"Generation": null}""", "'Generation' is null; it must be an object")]
    [DataRow("""{"generation": ["a"]}""", "'generation' is a list of texts; it must be an object")]
    [DataRow("""{"Rank": {"Value": 3}}""", "--rank is an object; it must be a whole number")]
    [DataRow("""{"StopStrings": {}}""", null)]
    [DataRow("""{"Generation": {"Nothing": {}}}""", null)]
    public void AnObjectIsNoValue(string json, string? expected)
    {
        var table = new OptionTable<Options>();

        if (expected is null)
        {
            Assert.HasCount(1, table.Apply(Element(JsonNode.Parse(json)!), new Options()));
            return;
        }

        Assert.Contains(
            expected, Assert.ThrowsExactly<CommandException>(() => table.Apply(Element(JsonNode.Parse(json)!), new Options())).Message);
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

    private static void Verify<T>(OptionTable<T> table, string key)
        where T : class, new()
    {
        OptionEntry entry = table.Entries.Single(entry => entry.Key == key);
        string[] values =
        [
            "null", "true", "false", "1", "0.5", "2.0", "99999999999", "\"null\"", "\"one, two\"", "\"a,b\"", "\"1\"", "\"true\"", "[]",
            "[\"x\", \"y,z\", \"null\"]", "[1]", "[null]", "[[\"x\"]]", "{}",
        ];
        foreach (string value in values)
        {
            var options = new T();
            string name = key.Replace(".", "", StringComparison.Ordinal);
            JsonElement json = JsonSerializer.Deserialize<JsonElement>($$"""{"{{name}}": {{value}}}""");
            (bool isTaken, object? expected) = Said(entry, value);
            CommandException error;
            try
            {
                Assert.IsEmpty(table.Apply(json, options), value);

                // {} sets nothing of a template, which is a text and has an option.
                Assert.IsTrue(isTaken || (value == "{}" && entry.Property.PropertyType == typeof(PromptTemplate)), value);
                Assert.AreEqual(Text(isTaken ? expected : Value(new T(), entry)), Text(Value(options, entry)), value);
                continue;
            }
            catch (CommandException refused)
            {
                error = refused;
            }

            // Which numbers an option takes is its own: a number is refused by its range alone.
            Assert.IsTrue(!isTaken || s_ranges.Any(range => error.Message.Contains(range, StringComparison.Ordinal)), error.Message);
            Assert.StartsWith($"{entry.Name} is ", error.Message);
            Assert.Contains("; it must be ", error.Message);
            Assert.DoesNotContain("\n", error.Message);
            Assert.AreEqual(ExitCode.Usage, error.ExitCode);
        }
    }

    /// <summary>What a JSON value says of an option, if anything.</summary>
    private static (bool IsTaken, object? Value) Said(OptionEntry entry, string json)
    {
        Type type = Nullable.GetUnderlyingType(entry.Property.PropertyType) ?? entry.Property.PropertyType;
        string? text = json[0] == '"' ? json.Trim('"') : null;
        bool isList = type == typeof(IReadOnlyList<string>);
        if (json == "null" || (text == "null" && type != typeof(string) && !isList))
        {
            return (entry.IsNullable, null);
        }

        string? plain = text ?? (json[0] is '[' or '{' ? null : json);
        return entry.IsSection ? plain switch
        {
            "true" => (true, Activator.CreateInstance(type)),
            "false" => (true, null),
            _ => (json == "{}", Activator.CreateInstance(type)),
        }
            : type == typeof(string) ? (text is not null, text)
            : isList ? json switch
            {
                "[]" => (true, Array.Empty<string>()),
                ['[', '"', ..] => (true, new[] { "x", "y,z", "null" }),
                _ => (text is not null, new[] { text }),
            }
            : type == typeof(bool) ? (plain is "true" or "false", plain == "true")
            : type == typeof(int) ? (plain is "1" or "2.0", plain == "1" ? 1 : 2)
            : type == typeof(double) && plain is { } number && char.IsAsciiDigit(number[0])
            ? (true, double.Parse(number, System.Globalization.CultureInfo.InvariantCulture))
            : (false, null);
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

    private static object? Value(object options, OptionEntry entry) =>
        entry.Path.Aggregate((object?)options, (owner, property) => owner is null ? null : property.GetValue(owner));

    private static string Text(object? value) => value is IEnumerable<string> texts ? string.Join('|', texts) : $"{value}";

    private static JsonElement Element(JsonNode json) => JsonSerializer.SerializeToElement(json);

    private sealed class Unwritable
    {
        public Func<int>? Callback { get; set; }
    }
}
