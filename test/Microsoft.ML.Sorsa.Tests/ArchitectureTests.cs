using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>The folders' arrows, held over the compiled assembly, and a few rules of style that no analyzer holds.</summary>
[TestClass]
public sealed class ArchitectureTests
{
    private const string Root = "Microsoft.ML.Sorsa";
    private const string Surface = "the root";

    /// <summary>What each folder may know; whoever adds a folder draws its arrows here. The root files may know everything.</summary>
    private static readonly Dictionary<string, string[]> Arrows = new(StringComparer.Ordinal)
    {
        [Tensors] = [],
        [Files] = [],
        ["Checkpoints"] = [],
        ["Tokenization"] = [],
        ["Data"] = ["Tokenization"],
        ["DataViews"] = ["Data"],
        ["Models"] = ["Checkpoints"],
        ["Adapters"] = ["Models", "Checkpoints"],
        ["Training"] = ["Adapters", "Data", "Models", "Checkpoints"],
        ["Generation"] = ["Data", "Models", "Tokenization"],
        ["Persistence"] = ["Generation", "Data", "Models", "Checkpoints", "DataViews", "Tokenization"],
        ["Interop"] = ["Training", "Adapters", "Data", "Generation", "Models", "Tokenization"],
        ["FineTuning"] = ["Training", "Adapters", "Data", "Models", "Generation", "Checkpoints", "Persistence", "Interop", "Tokenization", Surface],
    };

    /// <summary>Arithmetic, and whole files and JSON, which every folder may use.</summary>
    private const string Tensors = "Tensors", Files = "Files";

    private static readonly Assembly Library = typeof(CausalLM).Assembly;

    private static readonly Assembly Sweeps = typeof(SorsaExperiment).Assembly, Hangfire = typeof(SorsaSweepWorker).Assembly;

    private static readonly Assembly[] Packages = [Library, Sweeps, Hangfire];

    private static readonly IReadOnlyDictionary<string, IReadOnlySet<string>> Dependencies = TypeDependencies.Of(Library.Location);

    private static readonly Type[] OwnTypes = [.. Library.GetTypes().Where(type => $"{type.Namespace}.".StartsWith(Root + ".", StringComparison.Ordinal))];

    private static readonly HashSet<string> OwnNames = OwnTypes.Select(type => type.FullName!).ToHashSet(StringComparer.Ordinal);

    public static IEnumerable<object[]> Folders => Arrows.Keys.Select(folder => new object[] { folder });

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void AFolderKnowsOnlyWhatItMay(string folder)
    {
        string[] allowed = [folder, Tensors, Files, .. Arrows[folder]];

        string[] broken = [.. Known(folder).Where(pair => !allowed.Contains(Folder(pair.Known))).Select(pair => $"{pair.By} knows {pair.Known}")];

        Assert.IsEmpty(broken, string.Join(Environment.NewLine, broken));
    }

    /// <summary>Arrows that are there: the check above means nothing if these are not found.</summary>
    [TestMethod]
    [DataRow("Training", "Adapters", "TrainingLoop")]
    [DataRow("Training", "Data", "SupervisedLoss")]
    [DataRow("Adapters", "Models", "AdapterSet")]
    [DataRow("Models", "Checkpoints", "CausalLM")]
    public void AnArrowThatIsThereIsSeen(string folder, string known, string by) =>
        Assert.IsTrue(Known(folder).Any(pair => pair.By == $"{Root}.{folder}.{by}" && Folder(pair.Known) == known));

    [TestMethod]
    public void EveryFolderIsInTheDrawing()
    {
        string[] unknown = [.. OwnTypes.Select(type => Folder(type.FullName!)).Distinct(StringComparer.Ordinal).Except([Surface, .. Arrows.Keys])];

        Assert.IsEmpty(unknown, string.Join(", ", unknown));
    }

    /// <summary>What whoever only fine-tunes must not have to load.</summary>
    [TestMethod]
    [DataRow("Microsoft.Data.Sqlite")]
    [DataRow("OxyPlot")]
    public void OnlySweepsNeedADatabaseAndPlots(string assembly)
    {
        string[] users = [.. Packages.Where(package => package.GetReferencedAssemblies().Any(name => name.Name == assembly)).Select(package => package.GetName().Name!)];

        CollectionAssert.AreEqual(new[] { Sweeps.GetName().Name! }, users);
    }

    /// <summary>A package uses what another one offers to everybody, and nothing else.</summary>
    [TestMethod]
    public void PackagesAreNotFriends()
    {
        string[] known = ["Microsoft.ML.Sorsa.Tests", "Microsoft.ML.Sorsa.Benchmarks"];
        string[] friends = [.. Packages.SelectMany(package => package.GetCustomAttributes<InternalsVisibleToAttribute>()).Select(friend => friend.AssemblyName)];

        Assert.HasCount(2 * Packages.Length, friends);
        Assert.IsEmpty(friends.Except(known, StringComparer.Ordinal));
    }

    [TestMethod]
    public void PublicTypesAreSealed()
    {
        string[] open = [.. Packages.SelectMany(package => package.GetExportedTypes()).Where(type => !type.IsSealed && !type.IsInterface).Select(type => type.FullName!)];

        Assert.IsEmpty(open, string.Join(", ", open));
    }

    [TestMethod]
    public void NamesSayWhatATypeDoes()
    {
        string[] endings = ["Utils", "Util", "Helper", "Helpers", "Manager", "Common"];
        string[] vague = [.. Packages.SelectMany(package => package.GetTypes()).Where(type => endings.Any(ending => type.Name.EndsWith(ending, StringComparison.Ordinal))).Select(type => type.FullName!)];

        Assert.IsEmpty(vague, string.Join(", ", vague));
    }

    [TestMethod]
    public void AFileFitsOnAFewScreens()
    {
        string[] tooLong = [.. Sources().Where(file => File.ReadLines(file).Count() > 400)];

        Assert.IsEmpty(tooLong, string.Join(", ", tooLong));
    }

    [TestMethod]
    public void TheLibraryDoesNotWriteToTheConsole()
    {
        string[] loud = [.. Sources().Where(file => File.ReadAllText(file).Contains("Console.", StringComparison.Ordinal))];

        Assert.IsEmpty(loud, string.Join(", ", loud));
    }

    /// <summary>Every type of a folder with every type of the library that it mentions.</summary>
    private static IEnumerable<(string By, string Known)> Known(string folder) =>
        from type in Dependencies
        where OwnNames.Contains(type.Key) && Folder(type.Key) == folder
        from known in type.Value
        where OwnNames.Contains(known)
        select (type.Key, known);

    /// <summary>The folder right under the library's own; the namespace of a type in the root folder is the library's.</summary>
    private static string Folder(string fullName)
    {
        string[] parts = fullName[(Root.Length + 1)..].Split('.');
        return parts.Length == 1 ? Surface : parts[0];
    }

    private static string[] Sources()
    {
        string folder = Path.Combine(TestData.Root, "src");
        string[] files = [.. Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
            .Where(file => !Path.GetRelativePath(folder, file).Split(Path.DirectorySeparatorChar).Any(part => part is "obj" or "bin"))];
        Assert.IsNotEmpty(files);
        return files;
    }
}
