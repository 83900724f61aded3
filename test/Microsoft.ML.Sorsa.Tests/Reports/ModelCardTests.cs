using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tests.Surface;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Reports;

/// <summary>README.md beside what is saved: what Hugging Face reads of it, and what a person does.</summary>
[TestClass]
[TestCategory("Reports")]
public sealed partial class ModelCardTests
{
    private static readonly MLContext s_mlContext = new();

    /// <summary>Words of the data that no card may hold.</summary>
    private static readonly string[] s_secrets = ["Zanzibar", "Quokka", "Xylophone"];

    private static readonly string[] s_tags = ["sorsa", "fine-tuned", "ml.net"];

    [TestMethod]
    [DataRow(null, "finetune", "transformers")]
    [DataRow(AdapterFormat.Sorsa, "adapter", "Microsoft.ML.Sorsa")]
    [DataRow(AdapterFormat.LoraDifference, "adapter", "peft")]
    public void WhatIsSavedHasACard(AdapterFormat? format, string relation, string library)
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = Fit(folder, "license: apache-2.0\n");
        string card = Save(trained, folder.File("saved"), format);

        Dictionary<string, string[]> front = FrontMatter(card);
        Assert.AreEqual("base", front["base_model"].Single());
        Assert.AreEqual(relation, front["base_model_relation"].Single());
        Assert.AreEqual(library, front["library_name"].Single());
        Assert.AreEqual("apache-2.0", front["license"].Single());
        Assert.AreEqual("text-generation", front["pipeline_tag"].Single());
        CollectionAssert.IsSubsetOf(s_tags, front["tags"]);
        Assert.Contains("apache-2.0, as README.md in its folder says", card);
        Assert.Contains($"| rows | {TinyTask.Rows.Length} | 3 |", card);
        Assert.Contains($"| steps | {trained.Training!.TotalSteps} |", card);
        Assert.Contains("| option LearningRate | 0.005 |", card);
        Assert.Contains("| option Rank | 4 |", card);
        Assert.AreEqual(format is null, card.Contains("## Merge", StringComparison.Ordinal));
        Assert.AreEqual(format is null, card.Contains("| q\\_proj | 6 |", StringComparison.Ordinal));
    }

    /// <summary>Neither rows nor places nor clocks: a second training of the same gives the same bytes.</summary>
    [TestMethod]
    public void ACardHoldsNoDataNoPathAndNoClock()
    {
        using var folder = new TemporaryFolder();
        string[] cards = [.. Enumerable.Range(1, 2).Select(time =>
        {
            using SorsaTransformer trained = Fit(folder, "license: mit\n", folder.File($"series-{time}"));
            return Save(trained, folder.File($"saved-{time}"), null);
        })];

        Assert.AreEqual(cards[0], cards[1]);
        Assert.IsEmpty(s_secrets.Where(secret => cards[0].Contains(secret, StringComparison.OrdinalIgnoreCase)));
        Assert.DoesNotContain(folder.Path, cards[0]);
        Assert.DoesNotContain(Environment.MachineName, cards[0]);
        Assert.DoesNotMatchRegex(YearPattern, cards[0]);
    }

    [TestMethod]
    public void AModelThatWasOnlyLoadedSaysSo()
    {
        using var folder = new TemporaryFolder();
        Copy(folder, "license: mit\n");
        using SorsaTransformer model = s_mlContext.Sorsa().LoadModel(folder.File("base"));
        string card = Save(model, folder.File("copy"), null);

        Assert.Contains("# A copy of base", card);
        Assert.AreEqual("mit", FrontMatter(card)["license"].Single());
        Assert.DoesNotContain("## Training", card);

        // And the license goes on to whoever takes that one for a base.
        using SorsaTransformer again = s_mlContext.Sorsa().LoadModel(folder.File("copy"));
        Assert.AreEqual("mit", FrontMatter(Save(again, folder.File("again"), null))["license"].Single());
    }

    /// <summary>What stood around prompts in training is a fact only of what was trained here.</summary>
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void ATemplateIsSaidToBeOfTheTrainingOnlyAfterIt(bool chosen)
    {
        const string Alpaca = "Below is an instruction", InTraining = "in training and in use";
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = Fit(folder, "license: mit\n");
        string after = Save(trained, folder.File("trained"), null);
        trained.SaveAdapter(folder.File("adapter"));
        PromptTemplate? template = chosen ? PromptTemplate.Format("<<{prompt}>>") : null;
        using SorsaTransformer model = s_mlContext.Sorsa().LoadModel(folder.File("base"), promptTemplate: template);
        model.LoadAdapter("a", folder.File("adapter"));
        model.UseAdapter("a");

        Assert.Contains($"A prompt stands in this template, {InTraining}:", after);
        foreach (AdapterFormat? format in new AdapterFormat?[] { null, AdapterFormat.Sorsa })
        {
            string card = Save(model, folder.File($"saved-{format}"), format);

            Assert.DoesNotContain(InTraining, card);
            Assert.DoesNotContain(Alpaca, card);
            Assert.AreEqual(!chosen, card.Contains("The template around a prompt is not known here", StringComparison.Ordinal));
            Assert.AreEqual(chosen, card.Contains(
                "in use; whether it did in training is not known here:\n\n    <<{prompt}>>\n", StringComparison.Ordinal));
        }
    }

    [TestMethod]
    public void AModelOfAZipSaysThatItsBaseIsNotKnown()
    {
        using var folder = new TemporaryFolder();
        using (SorsaTransformer model = s_mlContext.Sorsa().LoadModel(TestData.TinyLlama))
        {
            model.Save(folder.File("model.zip"));
        }

        using SorsaTransformer loaded = s_mlContext.Sorsa().LoadZip(folder.File("model.zip"));
        string card = Save(loaded, folder.File("saved"), null);

        Dictionary<string, string[]> front = FrontMatter(card);
        Assert.AreEqual("unknown", front["license"].Single());
        Assert.IsFalse(front.ContainsKey("base_model"));
        Assert.Contains("unknown: the base is not known here. Find out before you pass this on.", card);
    }

    [TestMethod]
    public void AnAdapterThatIsMergedIsNamed()
    {
        using var folder = new TemporaryFolder();
        using (SorsaTransformer trained = Fit(folder, "license: mit\n"))
        {
            trained.SaveAdapter(folder.File("adapter"));
        }

        using SorsaTransformer model = s_mlContext.Sorsa().LoadModel(folder.File("base"));
        model.LoadAdapter("a|<b>", folder.File("adapter"));
        model.UseAdapter("a|<b>");

        Assert.Contains("# base with the adapter a\\|&lt;b&gt;", Save(model, folder.File("saved"), null));
    }

    /// <summary>Whatever the base's files and names hold, the front matter stays what it is, and HTML is text.</summary>
    [TestMethod]
    public void TextsOfOthersStayTexts()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = Fit(
            folder,
            "license: other\nlicense_name: 'x: \"y\" <script>alert(1)</script>'\nlicense_link: https://example.org/a?b=c#d\n",
            name: "yes: <b>\"no\"",
            template: PromptTemplate.Format("<img src=x>\n---\n```\n{prompt}\r\n# heading"));
        string card = Save(trained, folder.File("saved"), null);

        Dictionary<string, string[]> front = FrontMatter(card);
        Assert.AreEqual("yes: <b>\"no\"", front["base_model"].Single());
        Assert.AreEqual("x: \"y\" <script>alert(1)</script>", front["license_name"].Single());
        Assert.AreEqual("https://example.org/a?b=c#d", front["license_link"].Single());
        string body = card[(card.IndexOf("\n---\n", StringComparison.Ordinal) + 5)..];
        foreach (string line in body.Split('\n').Where(line => !line.StartsWith("    ", StringComparison.Ordinal)))
        {
            Assert.DoesNotContain("<", line);
            Assert.DoesNotContain("```", line);
        }

        Assert.Contains("    <img src=x>\n    ---\n    ```\n    {prompt}\n    # heading\n", body);
    }

    [TestMethod]
    public void ACheckpointOfATrainingHasNone()
    {
        using var folder = new TemporaryFolder();
        Copy(folder, "license: mit\n");
        Options options = Set(folder.File("base"));
        options.CheckpointFolder = folder.File("checkpoints");
        s_mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(s_mlContext)).Dispose();

        Assert.IsEmpty(Directory.GetFiles(folder.File("checkpoints"), "README.md", SearchOption.AllDirectories));
        Assert.HasCount(1, Directory.GetFiles(folder.File("base"), "README.md", SearchOption.AllDirectories));
    }

    [TestMethod]
    [DataRow("README.md", "---\nlicense: apache-2.0\n---\n# x", "apache-2.0")]
    [DataRow("README.md", "---\r\nlanguage: en\r\nlicense: \"MIT\"   # as its authors say\r\n---\r\n", "mit")]
    [DataRow("README.md", "\uFEFF---\nlicense:\n  - apache-2.0\n  - 'cc-by-4.0'\ntags: [a]\n---\n", "apache-2.0, cc-by-4.0")]
    [DataRow("README.md", "---\nlicense: [mit, bsd-3-clause]\n---\n", "mit, bsd-3-clause")]
    [DataRow("README.md", "---\nlicense: other\nlicense_name: my-own\n---\n", "other (my-own)")]
    [DataRow("README.md", "# no front matter\nlicense: mit\n", "unknown")]
    [DataRow("README.md", "---\nlicense: mit\n(without an end)", "unknown")]
    [DataRow("README.md", "---\nlicense: <script>\n---\n", "unknown")]
    [DataRow("README.md", "---\nlicense: unknown\n---\n", "unknown")]
    [DataRow("readme.md", "---\nlicense: mit\n---\n", "mit")]
    [DataRow("LICENSE", "                      Apache License\n                Version 2.0, January 2004\n", "apache-2.0")]
    [DataRow("LICENSE.txt", "MIT License\n\nCopyright (c) 2020 X\n", "mit")]
    [DataRow("LICENSE", "LLAMA 3.2 COMMUNITY LICENSE AGREEMENT\nLlama 3.2 Version Release Date: ...", "llama3.2")]
    [DataRow("LICENSE.md", "# The licence of nobody\n\nNo.", "other (The licence of nobody)")]
    [DataRow("COPYING", "GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007", "gpl-3.0")]
    [DataRow("LICENSE", "\n \n", "unknown")]
    [DataRow("LICENSE", "", "unknown")]
    [DataRow("NOTICE", "MIT License", "unknown")]
    public void TheLicenseIsWhatTheFolderSays(string file, string text, string license)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File(file), text);

        ModelLicense found = ModelLicense.Of(folder.Path);

        Assert.AreEqual(license, found.ToString());
        Assert.AreEqual(license != "unknown", found.IsKnown);
        Assert.AreEqual(license == "unknown" ? null : file, found.Source);
    }

    /// <summary>What a card says of its base goes before the text of a license; where it says nothing, the text counts.</summary>
    [TestMethod]
    [DataRow("license: cc-by-4.0", "cc-by-4.0")]
    [DataRow("language: en", "mit")]
    public void TheFrontMatterComesFirst(string line, string license)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("README.md"), $"---\n{line}\n---\n");
        File.WriteAllText(folder.File("LICENSE"), "MIT License");

        Assert.AreEqual(license, ModelLicense.Of(folder.Path).ToString());
    }

    [TestMethod]
    public void ABaseWithoutALicenseIsSaidToHaveNone()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = Fit(folder, null);
        string card = Save(trained, folder.File("saved"), null);

        Assert.AreEqual("unknown", trained.Training!.BaseLicense);
        Assert.AreEqual("unknown", FrontMatter(card)["license"].Single());
        Assert.Contains("unknown: no file in the base's folder says under which license it stands.", card);
    }

    private static SorsaTransformer Fit(
        TemporaryFolder folder, string? frontMatter, string? series = null, string name = "base", PromptTemplate? template = null)
    {
        Copy(folder, frontMatter, name);
        Options options = Set(folder.File(name));
        options.TensorBoardFolder = series;
        options.PromptTemplate = template ?? options.PromptTemplate;
        TinyTask.Row[] rows = [.. TinyTask.Rows.Select((row, i) => new TinyTask.Row
        {
            Prompt = $"{row.Prompt} {s_secrets[i % s_secrets.Length]}",
            Response = $"{row.Response} {s_secrets[i % s_secrets.Length]}",
        })];
        return s_mlContext.Sorsa().FineTune(options).Fit(
            s_mlContext.Data.LoadFromEnumerable(rows), s_mlContext.Data.LoadFromEnumerable(TinyTask.Rows.Take(3)));
    }

    private static Options Set(string modelFolder)
    {
        Options options = TinyTask.Options();
        options.ModelFolder = modelFolder;
        return options;
    }

    /// <summary>The bundled model with another card.</summary>
    private static void Copy(TemporaryFolder folder, string? frontMatter, string name = "base")
    {
        string target = Directory.CreateDirectory(folder.File(name)).FullName;
        foreach (string file in Directory.GetFiles(TestData.TinyLlama).Where(file => !file.EndsWith(".md", StringComparison.Ordinal)))
        {
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)), overwrite: true);
        }

        if (frontMatter is not null)
        {
            File.WriteAllText(Path.Combine(target, "README.md"), $"---\n{frontMatter}---\n# The base\n");
        }
    }

    private static string Save(SorsaTransformer model, string folder, AdapterFormat? format)
    {
        if (format is { } adapter)
        {
            model.SaveAdapter(folder, adapter);
        }
        else
        {
            model.SaveHuggingFace(folder);
        }

        return File.ReadAllText(Path.Combine(folder, "README.md"));
    }

    /// <summary>Keys with their values: of this YAML every value is a word, a text in quotation marks, or lines of them.</summary>
    private static Dictionary<string, string[]> FrontMatter(string card)
    {
        string[] lines = card.Split('\n');
        Assert.AreEqual("---", lines[0]);
        int end = Array.IndexOf(lines, "---", 1);
        var found = new Dictionary<string, string[]>(StringComparer.Ordinal);
        string key = "";
        foreach (string line in lines[1..end])
        {
            if (line.StartsWith("- ", StringComparison.Ordinal))
            {
                found[key] = [.. found[key], Value(line[2..])];
                continue;
            }

            Match match = KeyPattern.Match(line);
            Assert.IsTrue(match.Success, line);
            key = match.Groups[1].Value;
            found.Add(key, match.Groups[2].Length == 0 ? [] : [Value(match.Groups[2].Value)]);
        }

        return found;

        static string Value(string text) => text.StartsWith('"') ? System.Text.Json.JsonSerializer.Deserialize<string>(text)! : text;
    }

    [GeneratedRegex(@"\A([a-z_]+):(?: (.+))?\z")]
    private static partial Regex KeyPattern { get; }

    [GeneratedRegex(@"\b20[2-9][0-9]-|[0-9]:[0-9][0-9]")]
    private static partial Regex YearPattern { get; }
}
