using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Tool.Inputs;
using Microsoft.ML.Sorsa.Tool.Inspection;
using Microsoft.ML.Sorsa.Tool.Options;
using Microsoft.ML.Sorsa.Tool.Outputs;
using Spectre.Console;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

/// <summary>Says what a file or a folder is, and how large.</summary>
internal sealed class InspectVerb : Verb
{
    private const string Zip = ".zip", Gguf = ".gguf", Safetensors = ".safetensors";

    private readonly Argument<string> _path = new("path")
    {
        Description = "A model, an adapter, a model zip, a GGUF file, a checkpoint, a folder that train wrote, or rows.",
    };

    /// <summary>Options that are about rows as they stand in the file; of all others, a model makes something.</summary>
    private static readonly string[] s_columns =
        [nameof(SorsaFineTuningTrainer.Options.PromptColumnName), nameof(SorsaFineTuningTrainer.Options.ResponseColumnName)];

    private readonly OptionTable<SorsaFineTuningTrainer.Options> _trainer = RunFile.TrainerOptions();

    public InspectVerb(Shell shell)
        : base(shell, "inspect", "Says what a model, adapter, zip, checkpoint or data set holds. With --model-folder: rows in tokens.")
    {
        Arguments.Add(_path);
        _trainer.AddTo(this);
        shell.Options.AddRange(_trainer.Entries);
    }

    protected override JsonObject Run(Session session)
    {
        string path = session.Arguments.GetValue(_path)!;
        var json = new JsonObject { ["path"] = path };
        foreach ((string name, JsonNode? value) in Described(session, path))
        {
            json[name] = value?.DeepClone();
        }

        Table table = new Table { ShowHeaders = false, Border = TableBorder.None }.AddColumns("", "");
        AddRows(table, "", json);
        session.Show(table);
        json.Remove("summary");
        return json;
    }

    private JsonObject Described(Session session, string path)
    {
        SorsaFineTuningTrainer.Options options = _trainer.Apply(session.Arguments, new SorsaFineTuningTrainer.Options());
        if (IsOther(path) && _trainer.FirstSet(session.Arguments) is { } set)
        {
            throw new CommandException(ExitCode.Usage, $"{set.Name} is about rows, and '{path}' holds none. Leave it out.");
        }

        if (options.ModelFolder.Length == 0 && _trainer.FirstSet(session.Arguments, but: s_columns) is { } ofModel)
        {
            throw new CommandException(ExitCode.Usage,
                $"{ofModel.Name} is about rows in a model's tokens, and no model is named. Name one with --model-folder, or leave it out.");
        }

        if (File.Exists(path))
        {
            return Kind(path) switch
            {
                Zip => StoredModel.Zip(path),
                Gguf => GgufSummary.Of(path),
                Safetensors => StoredModel.Safetensors(path),
                _ => Rows(),
            };
        }

        return !Directory.Exists(path)
            ? throw new CommandException(ExitCode.Input, $"There is no file or folder '{path}'. Correct the path.")
            : RunFolder.Is(path) ? Run(path)
            : StoredModel.IsCheckpoint(path) ? StoredModel.Checkpoint(path)
            : StoredModel.IsAdapter(path) ? StoredModel.Adapter(path)
            : StoredModel.IsModel(path) ? StoredModel.Model(path)
            : StoredModel.Checkpoints(path) is [.., var newest] ? StoredModel.Checkpoint(newest)
            : Rows();

        JsonObject Rows() => StoredRows.Of(session, path, options, isAsked: _trainer.FirstSet(session.Arguments) is not null);
    }

    /// <summary>Whether it is there, and not as rows: of rows alone, the trainer's options change what is said.</summary>
    private static bool IsOther(string path) => File.Exists(path)
        ? Kind(path) is Zip or Gguf or Safetensors
        : Directory.Exists(path) && (RunFolder.Is(path) || StoredModel.IsCheckpoint(path) || StoredModel.IsAdapter(path)
            || StoredModel.IsModel(path) || StoredModel.Checkpoints(path).Count > 0);

    /// <summary>A file's extension; of a file that is named otherwise, the one that it begins like.</summary>
    private static string Kind(string path)
    {
        if (Path.GetExtension(path).ToLowerInvariant() is { } known and (Zip or Gguf or Safetensors))
        {
            return known;
        }

        Span<byte> begin = stackalloc byte[4];
        using FileStream file = File.OpenRead(path);
        begin = begin[..file.ReadAtLeast(begin, begin.Length, throwOnEndOfStream: false)];
        return begin.SequenceEqual("GGUF"u8) ? Gguf : begin.SequenceEqual("PK\x03\x04"u8) ? Zip : "";
    }

    private static JsonObject Run(string folder)
    {
        RunSettings settings = RunFile.Read(RunFolder.Config(folder));
        var json = new JsonObject
        {
            ["kind"] = "run",
            ["data"] = settings.Data,
            ["base"] = settings.Options.ModelFolder,
            ["method"] = settings.Options.Method.ToString(),
            ["done"] = Directory.Exists(RunFolder.Model(folder)),
            ["checkpoints"] = new JsonArray(
                [.. StoredModel.Checkpoints(RunFolder.Checkpoints(folder)).Select(found => JsonValue.Create(Path.GetFileName(found)))]),
        };
        if (Directory.Exists(RunFolder.Model(folder)))
        {
            json["model"] = StoredModel.Model(RunFolder.Model(folder));
        }

        return json;
    }

    private static void AddRows(Table table, string prefix, JsonObject json)
    {
        foreach ((string name, JsonNode? value) in json)
        {
            // Weights have a line of their own for people.
            if (value is JsonObject inner && name != "weights")
            {
                AddRows(table, $"{prefix}{name}.", inner);
            }
            else if (name != "weights" && value is not null)
            {
                table.AddRow(new Text($"{prefix}{(name == "summary" ? "weights" : name)}"), new Text(Cell(value)));
            }
        }
    }

    private static string Cell(JsonNode value) => value switch
    {
        JsonArray list => string.Join(", ", list.Select(item => item?.ToString())),
        JsonValue number when number.TryGetValue(out double exact) && !number.TryGetValue(out long _) =>
            exact.ToString("G5", CultureInfo.InvariantCulture),
        _ => value.ToString(),
    };
}
