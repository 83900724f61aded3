using Microsoft.ML.Sorsa.Tool.Inputs;

namespace Microsoft.ML.Sorsa.Tool.Outputs;

/// <summary>What train writes: run.json, checkpoints, the merged model and, where the method has one, the adapter.</summary>
internal static class RunFolder
{
    public static bool Is(string path) => File.Exists(Config(path)) && !File.Exists(Path.Combine(path, "config.json"));

    public static string Config(string folder) => Path.Combine(folder, RunFile.Name);

    public static string Checkpoints(string folder) => Path.Combine(folder, "checkpoints");

    public static string TensorBoard(string folder) => Path.Combine(folder, "tensorboard");

    public static string Report(string folder) => Path.Combine(folder, "report.html");

    public static string Model(string folder) => Path.Combine(folder, "model");

    public static string Adapter(string folder) => Path.Combine(folder, "adapter");

    /// <summary>What train writes there beside checkpoints and TensorBoard's files.</summary>
    public static IReadOnlyList<string?> Written(string folder) =>
        [Config(folder), Model(folder), Adapter(folder), MergeReport(folder), Report(folder)];

    /// <summary>The training that an adapter's folder is of, or lies in; null: not known.</summary>
    public static string? OfAdapter(string adapter) => Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(adapter)))
        is { } folder && Is(folder) ? folder : null;

    public static string MergeReport(string folder) => Path.Combine(folder, "merge.tsv");

    /// <summary>The model of a training that came to its end.</summary>
    /// <exception cref="CommandException">It did not yet.</exception>
    public static string FinishedModel(string folder) => Directory.Exists(Model(folder)) ? Model(folder) : throw new CommandException(
        ExitCode.Input, $"The training in '{folder}' has not come to its end. 'sorsa resume {folder}' goes on with it.");
}
