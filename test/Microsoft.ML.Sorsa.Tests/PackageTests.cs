using System.Diagnostics;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>
/// The package as somebody else's project sees it: restored from a folder, built, run and published. What is in the packages,
/// build/pack-check.sh looks at.
/// </summary>
[TestClass]
[TestCategory("Package")]
public sealed partial class PackageTests
{
    private const string Version = "0.0.1-test";

    /// <summary>What the library was built in; it is packed as it is, so that no other test sees its files change.</summary>
    private static string Configuration => new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    private const string Program = """
        using Microsoft.ML;
        using Microsoft.ML.Sorsa;
        using Microsoft.ML.Sorsa.Data;
        using var model = new MLContext().Sorsa().LoadModel(args[0], promptTemplate: PromptTemplate.Format("{prompt}"));
        Console.WriteLine($"answer: {model.Generate("12 + 5 = ")}");
        """;

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void AProjectThatReferencesThePackageLoadsTorchAndAModel()
    {
        using var folder = new TemporaryFolder();
        string packages = Path.Combine(folder.Path, "packages"), consumer = Path.Combine(folder.Path, "consumer");
        Dotnet(TestData.Root, "pack", Path.Combine("src", "Microsoft.ML.Sorsa"), "-c", Configuration, "--no-build", "-o", packages,
            $"-p:Version={Version}");
        Directory.CreateDirectory(consumer);
        File.WriteAllText(Path.Combine(consumer, "Program.cs"), Program);
        File.WriteAllText(Path.Combine(consumer, "consumer.csproj"), Project(packages));

        // What another run left in the package cache is not this package.
        string cached = Path.Combine(
            Dotnet(folder.Path, "nuget", "locals", "global-packages", "--list").Split(": ", 2)[1].Trim(), "microsoft.ml.sorsa", Version);
        Forget(cached);
        string output = Dotnet(consumer, "run", "-c", "Release", "--", TestData.TinyLlama);
        Dotnet(consumer, "publish", "-c", "Release", "-o", Path.Combine(folder.Path, "published"));
        string published = Dotnet(consumer, Path.Combine(folder.Path, "published", "consumer.dll"), TestData.TinyLlama);

        Assert.MatchesRegex(Answer, output);
        Assert.AreEqual(Answer.Match(output).Value, Answer.Match(published).Value);
        Forget(cached);

        static void Forget(string package)
        {
            if (Directory.Exists(package))
            {
                Directory.Delete(package, recursive: true);
            }
        }
    }

    [GeneratedRegex("answer: .*17")]
    private static partial Regex Answer { get; }

    private static string Project(string packages)
    {
        XDocument versions = XDocument.Load(Path.Combine(TestData.Root, "build", "Packages.props"));
        string torch = versions.Descendants("LibTorchVersion").Single().Value;
        string os = OperatingSystem.IsWindows() ? "win-x64" : OperatingSystem.IsMacOS() ? "osx-arm64" : "linux-x64";
        return $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <RestoreAdditionalProjectSources>{packages}</RestoreAdditionalProjectSources>
                <CreateHardLinksForCopyLocalIfPossible>true</CreateHardLinksForCopyLocalIfPossible>
                <CreateHardLinksForPublishFilesIfPossible>true</CreateHardLinksForPublishFilesIfPossible>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="Microsoft.ML.Sorsa" Version="{Version}" />
                <PackageReference Include="libtorch-cpu-{os}" Version="{torch}" />
              </ItemGroup>
            </Project>
            """;
    }

    private static string Dotnet(string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, $"dotnet {string.Join(' ', arguments)}{Environment.NewLine}{output}{error.Result}");
        return output;
    }
}
