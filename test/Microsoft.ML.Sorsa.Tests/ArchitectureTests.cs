using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Mpi;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tool;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>The folders' arrows, held over the compiled assembly, and a few rules of style that no analyzer holds.</summary>
[TestClass]
[TestCategory("Architecture")]
public sealed partial class ArchitectureTests
{
    private const string Root = "Microsoft.ML.Sorsa";
    private const string Surface = "the root";

    /// <summary>
    /// What each folder may know besides itself and what is open to all. A new folder draws its arrows here; the root may know everything.
    /// </summary>
    private static readonly Dictionary<string, string[]> Arrows = new(StringComparer.Ordinal)
    {
        [Tensors] = [],
        [Files] = [],
        ["Checkpoints"] = [],
        ["Tokenization"] = [],
        ["Data"] = ["Tokenization"],
        ["Chat"] = ["Generation", "Data", "Models", "Tokenization"],
        ["DataViews"] = [],
        ["Evaluation"] = ["Generation", "Training", "Data", "DataViews", "Models", "Tokenization"],
        ["Models"] = ["Checkpoints"],
        ["Optimizers"] = [],
        ["Adapters"] = ["Models", "Checkpoints", "Optimizers"],
        ["Analysis"] = ["Adapters", "Checkpoints"],
        ["Training"] = ["Adapters", "Analysis", "Data", "Models", "Checkpoints", "Optimizers"],
        ["Generation"] = ["Data", "Models", "Tokenization"],
        ["Persistence"] = ["Generation", "Data", "Models", "Checkpoints", "Tokenization"],
        ["Gguf"] = ["Persistence", "Generation", "Adapters", "Data", "Models", "Tokenization"],
        ["Interop"] = ["Generation", "Models", "Tokenization"],
        ["Memory"] = ["Adapters", "Models"],
        ["Reports"] = ["Training", "Adapters", "Data", "Checkpoints"],
        ["FineTuning"] =
        [
            "Training", "Analysis", "Memory", "Reports", "Adapters", "Data", "Models", "Generation", "Checkpoints", "Interop",
            "Tokenization",
        ],
    };

    /// <summary>Arithmetic, and whole files, JSON and ranges, which every folder may use.</summary>
    private const string Tensors = "Tensors", Files = "Files";

    private static readonly Assembly Library = typeof(CausalLM).Assembly;

    private static readonly Assembly Sweeps = typeof(SorsaExperiment).Assembly, Hangfire = typeof(SorsaSweepWorker).Assembly,
        AIEvaluation = typeof(ReferenceAnswerContext).Assembly, Mpi = typeof(SorsaMpi).Assembly;

    private static readonly Assembly[] PackageAssemblies = [Library, Sweeps, Hangfire, AIEvaluation, Mpi];

    /// <summary>The command line: a program over the packages, in a package of its own.</summary>
    private const string Tool = "Microsoft.ML.Sorsa.Tool";

    private static readonly IReadOnlyDictionary<string, IReadOnlySet<string>> Dependencies = TypeDependencies.Of(Library.Location);

    private static readonly Type[] OwnTypes = [.. Library.GetTypes()
        .Where(type => $"{type.Namespace}.".StartsWith(Root + ".", StringComparison.Ordinal))];

    /// <summary>The surface's enumerations are words that every folder may use: docs/decisions/public-enumerations.md.</summary>
    private static readonly HashSet<string> Leaves = OwnTypes
        .Where(type => type.IsEnum && type.IsPublic && Folder(type.FullName!) == Surface)
        .Select(type => type.FullName!)
        .ToHashSet(StringComparer.Ordinal);

    private static readonly HashSet<string> OwnNames = OwnTypes.Select(type => type.FullName!).ToHashSet(StringComparer.Ordinal);

    public static IEnumerable<object[]> Folders => Arrows.Keys.Select(folder => new object[] { folder });

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void AFolderKnowsOnlyWhatItMay(string folder)
    {
        string[] allowed = [folder, Tensors, Files, .. Arrows[folder]];

        string[] broken = [.. Known(folder).Where(pair => !allowed.Contains(Folder(pair.Known)) && !Leaves.Contains(pair.Known))
            .Select(pair => $"{pair.By} knows {pair.Known}")];

        Assert.IsEmpty(broken, string.Join(Environment.NewLine, broken));
    }

    /// <summary>
    /// An arrow that nothing uses is no part of the drawing; and one that is there is seen, so that the check above means something.
    /// </summary>
    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void EveryArrowIsUsed(string folder)
    {
        HashSet<string> known = [.. Known(folder).Select(pair => Folder(pair.Known))];

        string[] unused = [.. Arrows[folder].Where(arrow => !known.Contains(arrow))];

        Assert.IsEmpty(unused, string.Join(", ", unused));
    }

    [TestMethod]
    public void FoldersDoNotRunInACircle()
    {
        IReadOnlyList<IReadOnlyList<string>> circles = Circles.Of(Arrows.ToDictionary(
            arrow => arrow.Key, arrow => (IEnumerable<string>)arrow.Value));

        Assert.IsEmpty(circles, string.Join("; ", circles.Select(circle => string.Join(", ", circle))));
    }

    public static IEnumerable<object[]> Packages =>
        PackageAssemblies.Select(package => package.GetName().Name!).Append(Tool).Select(package => new object[] { package });

    /// <summary>No file needs another one that needs it, however far around.</summary>
    [TestMethod]
    [DynamicData(nameof(Packages))]
    public void FilesDoNotRunInACircle(string package)
    {
        Assembly assembly = package == Tool
            ? typeof(SorsaTool).Assembly : PackageAssemblies.Single(assembly => assembly.GetName().Name == package);
        IReadOnlyDictionary<string, string> files = SourceFiles.OfTypes(Path.Combine(TestData.Root, "src", package));
        Dictionary<string, IEnumerable<string>> known = TypeDependencies.Of(assembly.Location)
            .Where(type => files.ContainsKey(type.Key))
            .GroupBy(type => files[type.Key], StringComparer.Ordinal)
            .ToDictionary(
                file => file.Key,
                file => file.SelectMany(type => type.Value)
                    .Where(files.ContainsKey)
                    .Select(type => files[type])
                    .Where(other => other != file.Key));
        Assert.IsNotEmpty(known);

        IReadOnlyList<IReadOnlyList<string>> circles = Circles.Of(known);

        Assert.IsEmpty(
            circles, string.Join("; ", circles.Select(circle => string.Join(", ", circle.Select(file => Path.GetFileName(file))))));
    }

    /// <summary>What stands in the root is what users see.</summary>
    [TestMethod]
    public void TheRootIsTheSurfaceAlone()
    {
        string[] machinery = [.. OwnTypes.Where(type => Folder(type.FullName!) == Surface && !type.IsNested && !type.IsPublic)
            .Select(type => type.FullName!)];

        Assert.IsEmpty(machinery, string.Join(", ", machinery));
    }

    [TestMethod]
    public void EveryFolderIsInTheDrawing()
    {
        string[] unknown = [.. OwnTypes.Select(type => Folder(type.FullName!))
            .Distinct(StringComparer.Ordinal)
            .Except([Surface, .. Arrows.Keys])];

        Assert.IsEmpty(unknown, string.Join(", ", unknown));
    }

    /// <summary>What whoever only fine-tunes must not have to load.</summary>
    [TestMethod]
    [DataRow("Microsoft.Data.Sqlite")]
    [DataRow("OxyPlot")]
    public void OnlySweepsNeedADatabaseAndPlots(string assembly)
    {
        string[] users = [.. PackageAssemblies.Where(package => package.GetReferencedAssemblies().Any(name => name.Name == assembly))
            .Select(package => package.GetName().Name!)];

        CollectionAssert.AreEqual(new[] { Sweeps.GetName().Name! }, users);
    }

    /// <summary>A package uses what another one offers to everybody, and nothing else.</summary>
    [TestMethod]
    public void PackagesAreNotFriends()
    {
        string[] known = ["Microsoft.ML.Sorsa.Tests", "Microsoft.ML.Sorsa.Benchmarks", "Microsoft.ML.Sorsa.LLamaSharp.Tests"];
        string[] friends = [.. PackageAssemblies.SelectMany(package => package.GetCustomAttributes<InternalsVisibleToAttribute>())
            .Select(friend => friend.AssemblyName)];

        // The last is the library's alone.
        Assert.HasCount((2 * PackageAssemblies.Length) + 1, friends);
        Assert.IsEmpty(friends.Except(known, StringComparer.Ordinal));
    }

    [TestMethod]
    public void PublicTypesAreSealed()
    {
        string[] open = [.. PackageAssemblies.SelectMany(package => package.GetExportedTypes())
            .Where(type => !type.IsSealed && !type.IsInterface)
            .Select(type => type.FullName!)];

        Assert.IsEmpty(open, string.Join(", ", open));
    }

    [TestMethod]
    public void NamesSayWhatATypeDoes()
    {
        string[] endings = ["Utils", "Util", "Helper", "Helpers", "Manager", "Common"];
        string[] vague = [.. PackageAssemblies.SelectMany(package => package.GetTypes())
            .Where(type => endings.Any(ending => type.Name.EndsWith(ending, StringComparison.Ordinal)))
            .Select(type => type.FullName!)];

        Assert.IsEmpty(vague, string.Join(", ", vague));
    }

    [TestMethod]
    public void AFileFitsOnAFewScreens()
    {
        string[] tooLong = [.. Sources().Where(file => File.ReadLines(file).Count() > 400)];

        Assert.IsEmpty(tooLong, string.Join(", ", tooLong));
    }

    /// <summary>
    /// But for one method, which says why MPI ends all processes at once: nobody is left to catch it, and no log is sure to be read.
    /// </summary>
    [TestMethod]
    public void TheLibraryDoesNotWriteToTheConsole()
    {
        string lastWords = Path.Combine(TestData.Root, "src", "Microsoft.ML.Sorsa.Mpi", "SorsaMpi.cs");
        string[] loud = [.. Sources().Where(file => !file.StartsWith(Path.Combine(TestData.Root, "src", Tool), StringComparison.Ordinal))
            .Where(file => (file == lastWords ? Abort.Replace(File.ReadAllText(file), "", 1) : File.ReadAllText(file))
                .Contains("Console.", StringComparison.Ordinal))];

        Assert.IsEmpty(loud, string.Join(", ", loud));
        Assert.IsTrue(Abort.IsMatch(File.ReadAllText(lastWords)));
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

    private static IReadOnlyList<string> Sources() => SourceFiles.In(Path.Combine(TestData.Root, "src"));

    /// <summary>The method ITrainingRanks.Abort, to its closing brace.</summary>
    [GeneratedRegex(@"void ITrainingRanks\.Abort\(.*?\n    \}", RegexOptions.Singleline)]
    private static partial Regex Abort { get; }
}
