[assembly: Parallelize(Scope = ExecutionScope.ClassLevel)]

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>
/// Where the reference answers lie. SORSA_GOLDEN, SORSA_TOKENIZERS and SORSA_SMOLLM2 name other folders of the same layout; unset,
/// they are the copies under test/data and, for what may not be copied, the folder "shared" beside the solution's folder.
/// </summary>
internal static class TestData
{
    /// <summary>The folder of the solution.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The bundled model, 1.2 million parameters.</summary>
    public static string TinyLlama => Path.Combine(Root, "samples", "models", "tiny-llama-math");

    /// <summary>SmolLM2-135M-Instruct; not in the repository.</summary>
    public static string SmolLM2 => Environment.GetEnvironmentVariable("SORSA_SMOLLM2") ?? Shared("models", "SmolLM2-135M-Instruct");

    public static string Shared(params string[] parts) => Path.Combine([Path.GetDirectoryName(Root)!, "shared", .. parts]);

    public static string Golden(params string[] parts) => Path.Combine([GoldenFolder, .. parts]);

    /// <summary>An input that users' trouble was made into: test/data/cases/README.md.</summary>
    public static string Case(params string[] parts) => Path.Combine([Root, "test", "data", "cases", .. parts]);

    /// <summary>An input that an attack found: test/data/attack/README.md.</summary>
    public static string Attack(params string[] parts) => Path.Combine([Root, "test", "data", "attack", .. parts]);

    /// <summary>The tokenizer cases of one folder: smollm2, llama3, ...</summary>
    public static string Tokenizers(string folder) => Environment.GetEnvironmentVariable("SORSA_TOKENIZERS") is { } named
        ? Path.Combine(named, folder)
        : Existing(Path.Combine(Root, "test", "data", "tokenizers", folder), Shared("tokenizers", folder));

    /// <summary>Skips the test, saying why, where a file or folder is not on this machine.</summary>
    public static string Require(string path)
    {
        if (!Path.Exists(path))
        {
            Assert.Inconclusive($"'{path}' is not there: this test needs it.");
        }

        return path;
    }

    /// <summary>
    /// One row per folder or file, for <see cref="DynamicDataAttribute"/>; where there is none, one that <see cref="Require"/> skips.
    /// </summary>
    public static IEnumerable<object[]> Rows(string folder, string pattern)
    {
        string[] found = Directory.Exists(folder) ? Directory.GetFileSystemEntries(folder, pattern) : [];
        Array.Sort(found, StringComparer.Ordinal);
        return found.Length == 0 ? [[Path.Combine(folder, pattern)]] : found.Select(path => new object[] { path });
    }

    private static string GoldenFolder =>
        Environment.GetEnvironmentVariable("SORSA_GOLDEN") ?? Path.Combine(Root, "test", "data", "golden");

    private static string Existing(string first, string second) => Path.Exists(first) ? first : second;

    private static string FindRoot()
    {
        for (string? folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "Sorsa.MLNet.sln")))
            {
                return folder;
            }
        }

        throw new DirectoryNotFoundException(
            "The tests look for their data from the folder of Sorsa.MLNet.sln downwards; they must run from a build inside it.");
    }
}
