using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Tool.Options;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tool.Inputs;

/// <summary>What a training is made of: the rows and the trainer's options.</summary>
internal sealed class RunSettings
{
    /// <summary>A file, or a folder of files; null: not said yet.</summary>
    public string? Data { get; set; }

    public string? ValidationData { get; set; }

    /// <summary>The share of the rows that are not trained on; 0: none.</summary>
    public double ValidationFraction { get; set; }

    /// <summary>Prompts that the base and the trained model answer for the report; empty: none.</summary>
    public IReadOnlyList<string> Ask { get; set; } = [];

    /// <summary>Folders of the options that are said, null included, which is none; the others lie in the run's own folder.</summary>
    public HashSet<string> SaidFolders { get; } = new(StringComparer.Ordinal);

    public SorsaFineTuningTrainer.Options Options { get; init; } = new();
}

/// <summary>run.json: a training as a file, which train writes and reads, and resume goes on with.</summary>
internal static class RunFile
{
    public const string Name = "run.json";

    /// <summary>Options whose folders train makes in its own, where they are not said.</summary>
    public static readonly IReadOnlyList<string> OwnFolders =
        [nameof(SorsaFineTuningTrainer.Options.CheckpointFolder), nameof(SorsaFineTuningTrainer.Options.TensorBoardFolder)];

    private static readonly JsonSerializerOptions s_indented =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly JsonDocumentOptions s_lenient =
        new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip, AllowDuplicateProperties = false };

    /// <exception cref="CommandException">It is not there, is no JSON, or holds what is no option.</exception>
    public static RunSettings Read(string path)
    {
        string text;
        try
        {
            text = File.ReadAllText(path, new UTF8Encoding(false, throwOnInvalidBytes: true));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or DecoderFallbackException)
        {
            throw new CommandException(ExitCode.Input, $"'{path}' cannot be read: {e.Message}", e);
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(text, s_lenient);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? Of(document.RootElement, path)
                : throw new CommandException(ExitCode.Input, $"'{path}' is no JSON object. Write one, as train does.");
        }
        catch (JsonException e)
        {
            throw new CommandException(ExitCode.Input, $"'{path}' is no JSON: {e.Message}", e);
        }
        catch (CommandException e) when (!e.Message.Contains(path, StringComparison.Ordinal))
        {
            throw new CommandException(e.ExitCode, $"'{path}': {e.Message}", e);
        }
    }

    /// <summary>All of it, the defaults too, and whole paths: the same run from anywhere, and with another version's defaults.</summary>
    public static void Write(string path, RunSettings settings)
    {
        JsonObject json = Rows.ToJson(new RunRows
        {
            Data = Whole(settings.Data),
            ValidationData = Whole(settings.ValidationData),
            ValidationFraction = settings.ValidationFraction,
            Ask = settings.Ask,
        });
        foreach ((string name, JsonNode? value) in TrainerOptions().ToJson(settings.Options))
        {
            bool isPath = name.EndsWith("Folder", StringComparison.Ordinal) || name.EndsWith("Path", StringComparison.Ordinal)
                || name.EndsWith("File", StringComparison.Ordinal);
            json[name] = isPath && value is not null ? JsonValue.Create(Whole(value.GetValue<string>())) : value?.DeepClone();
        }

        foreach (string own in OwnFolders.Where(name => !settings.SaidFolders.Contains(name)))
        {
            json.Remove(own);
        }

        WholeFile.Write(path, json.ToJsonString(s_indented) + "\n");
    }

    /// <summary>A table of its own for each command line: its options belong to one command.</summary>
    public static OptionTable<SorsaFineTuningTrainer.Options> TrainerOptions() => new();

    public static OptionTable<RunRows> RowOptions() => new();

    private static OptionTable<RunRows> Rows => RowOptions();

    private static RunSettings Of(JsonElement json, string path)
    {
        var rows = new RunRows();
        var options = new SorsaFineTuningTrainer.Options();
        string[] known = [.. Rows.Entries.Select(entry => entry.Key), .. TrainerOptions().Entries.Select(entry => entry.Key)];
        string[] unknown = [.. Rows.Apply(json, rows).Intersect(TrainerOptions().Apply(json, options), StringComparer.Ordinal)];
        if (unknown.Length > 0)
        {
            string? near = Spelling.Nearest(unknown[0], known);
            throw new CommandException(ExitCode.Usage,
                $"'{path}' has '{unknown[0]}', which is no option of train.{(near is null ? "" : $" Did you mean '{near}'?")} "
                + "'sorsa train --help' lists them.");
        }

        var settings = new RunSettings
        {
            Data = rows.Data,
            ValidationData = rows.ValidationData,
            ValidationFraction = rows.ValidationFraction,
            Ask = rows.Ask,
            Options = options,
        };
        settings.SaidFolders.UnionWith(OwnFolders.Where(
            name => json.EnumerateObject().Any(option => OptionName.Bare(option.Name) == OptionName.Bare(name))));
        return settings;
    }

    private static string? Whole(string? path) => string.IsNullOrWhiteSpace(path) ? path : Path.GetFullPath(path);
}

/// <summary>The rows of a run and its questions, as options.</summary>
internal sealed class RunRows
{
    public string? Data { get; set; }

    public string? ValidationData { get; set; }

    public double ValidationFraction { get; set; }

    public IReadOnlyList<string> Ask { get; set; } = [];
}
