namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>Where the models and data lie, seen from the build.</summary>
internal static class Folders
{
    private static readonly Lazy<string> s_root = new(FindRoot);

    /// <summary>The folder of the solution.</summary>
    public static string Root => s_root.Value;

    /// <summary>Stored answers of others, beside the program: they travel with a publish.</summary>
    public static string Golden => Path.Combine(AppContext.BaseDirectory, "data", "golden");

    /// <summary>The folder of shared data that stands beside the solution's.</summary>
    public static string Shared => Path.Combine(Path.GetDirectoryName(Root)!, "shared");

    public static string SmolLM2 =>
        Environment.GetEnvironmentVariable("SORSA_SMOLLM2") ?? Path.Combine(Shared, "models", "SmolLM2-135M-Instruct");

    /// <summary>The bundled model, in the repository.</summary>
    public static string TinyLlama => Path.Combine(Root, "samples", "models", "tiny-llama-math");

    private static string FindRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "Sorsa.MLNet.sln")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder
            ?? throw new DirectoryNotFoundException(
                "The benchmarks look for their data from the folder of Sorsa.MLNet.sln; they must run from a build inside it.");
    }
}
