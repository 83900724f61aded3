using System.CommandLine;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Tool.Inspection;
using Microsoft.ML.Sorsa.Tool.Options;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tool.Inputs;

// Microsoft.ML.Command is a namespace.
using Command = System.CommandLine.Command;

/// <summary>How a model that is a folder is opened; the names and defaults are the library's.</summary>
internal sealed class ModelOptions
{
    public string PromptColumnName { get; set; } = "Prompt";

    public string OutputColumnName { get; set; } = "Reply";

    /// <summary>Null: nobody chose one. Then Alpaca, and in a chat the tokenizer's own, if it has one.</summary>
    public PromptTemplate? PromptTemplate { get; set; }

    public WeightType ComputeType { get; set; } = WeightType.Float32;

    public bool MapWeights { get; set; } = true;

    public int? MaxPromptLength { get; set; }
}

/// <summary>A model to ask: a folder in the Hugging Face layout, what train wrote, or a model zip; with an adapter or without.</summary>
internal sealed class ModelSource
{
    private const string AdapterName = "adapter";

    /// <summary>What a folder with a model or an adapter holds of them.</summary>
    private static readonly string[] s_read = [".json", ".safetensors", ".jinja"];

    private readonly Argument<string> _model = new("model")
    {
        Description = "A model: a folder in the Hugging Face layout, a folder that train wrote, or a model zip.",
    };

    private readonly Option<string?> _adapter = new("--adapter")
    {
        HelpName = "FOLDER",
        Description = "An adapter onto the model: a folder that train or PEFT wrote.",
    };

    private readonly OptionTable<ModelOptions> _options;
    private readonly OptionTable<GenerationOptions> _generation;

    /// <param name="command">Gets the argument and the options.</param>
    /// <param name="shell">Told of options.</param>
    /// <param name="skip">Names of options that the verb has no use for.</param>
    public ModelSource(Command command, Shell shell, params string[] skip)
    {
        (_options, _generation) = (new OptionTable<ModelOptions>(skip), new OptionTable<GenerationOptions>(skip));
        command.Arguments.Add(_model);
        command.Options.Add(_adapter);
        _options.AddTo(command);
        _generation.AddTo(command);
        shell.Options.AddRange([.. _options.Entries, .. _generation.Entries]);
    }

    /// <summary>The model's own path, which was named.</summary>
    public string Named(Session session) => session.Arguments.GetValue(_model)!;

    /// <summary>The names of the columns that the model reads and adds.</summary>
    public ModelOptions Options(Session session) => Settings(session).Options;

    /// <summary>The files that are read of it, of its adapter and of its prompt template.</summary>
    public IEnumerable<string> Files(Session session)
    {
        string? adapter = session.Arguments.GetValue(_adapter);
        return [.. FilesOf(Named(session)), .. adapter is null ? [] : FilesOf(adapter), .. _options.Files(session.Arguments)];
    }

    /// <summary>The files that are read of a model or an adapter; none where there is none.</summary>
    public static IEnumerable<string> FilesOf(string path)
    {
        string[] folders = RunFolder.Is(path) ? [path, RunFolder.Model(path), RunFolder.Adapter(path)] : [path];
        return File.Exists(path) ? [path] : folders.Where(Directory.Exists).SelectMany(Directory.EnumerateFiles)
            .Where(file => s_read.Contains(Path.GetExtension(file), StringComparer.OrdinalIgnoreCase));
    }

    /// <summary>The options of the training that it comes from, where train wrote it or its adapter; null: not known.</summary>
    public SorsaFineTuningTrainer.Options? Trained(Session session)
    {
        string path = Named(session);
        string? adapter = session.Arguments.GetValue(_adapter);
        return RunFolder.Is(path) ? RunFile.Read(RunFolder.Config(path)).Options
            : adapter is not null && !File.Exists(path) ? Trained(adapter) : null;
    }

    /// <summary>Opens it, with its adapter in use.</summary>
    public SorsaTransformer Open(Session session)
    {
        string path = Named(session);
        string? adapter = session.Arguments.GetValue(_adapter);
        if (File.Exists(path))
        {
            Refuse(session, path);
            return Adapted(session.Sorsa.LoadZip(path), adapter);
        }

        (string folder, ModelOptions options, GenerationOptions generation) = Settings(session);
        return Adapted(session.Sorsa.LoadModel(
            folder, options.PromptColumnName, options.OutputColumnName, options.PromptTemplate, generation, options.ComputeType,
            options.MapWeights, options.MaxPromptLength), adapter);
    }

    /// <summary>Opens the base with its adapter in use, apart from each other: of a folder that train wrote, both are known.</summary>
    /// <exception cref="CommandException">No adapter is named, and none is known.</exception>
    public SorsaTransformer OpenWithAdapter(Session session)
    {
        string path = Named(session), folder = path;
        string? adapter = session.Arguments.GetValue(_adapter);
        if (RunFolder.Is(path) && adapter is null)
        {
            RunFolder.FinishedModel(path);
            adapter = RunFolder.Adapter(path);
            folder = RunFile.Read(RunFolder.Config(path)).Options.ModelFolder;
            if (!Directory.Exists(adapter))
            {
                throw new CommandException(ExitCode.Input,
                    $"The training in '{path}' has no adapter: its method trains the weights themselves. Export it as hf or zip.");
            }
        }

        if (adapter is null)
        {
            throw new CommandException(ExitCode.Usage,
                "No adapter is named. Name a folder that train wrote, or the base and, with --adapter, the adapter's folder.");
        }

        return Open(session, folder, adapter, _options.Apply(session.Arguments, Defaults(Trained(session))).PromptTemplate);
    }

    /// <summary>Opens a base with an adapter in use; of an adapter that train wrote, template and lengths are the training's.</summary>
    /// <param name="session">What it is opened for.</param>
    /// <param name="folder">The base.</param>
    /// <param name="adapter">The adapter's folder.</param>
    /// <param name="template">A template that comes before the training's; null: none does.</param>
    public static SorsaTransformer Open(Session session, string folder, string adapter, PromptTemplate? template = null)
    {
        ModelOptions options = Defaults(Trained(adapter));
        return Adapted(session.Sorsa.LoadModel(
            folder, options.PromptColumnName, options.OutputColumnName, template ?? options.PromptTemplate,
            maxPromptLength: options.MaxPromptLength), adapter);
    }

    /// <summary>Refuses options that do not change what is done.</summary>
    /// <param name="session">The command line.</param>
    /// <param name="effective">The names of those that do.</param>
    /// <param name="what">What is done.</param>
    /// <exception cref="CommandException">Another one is set.</exception>
    public void Refuse(Session session, IReadOnlyCollection<string> effective, string what)
    {
        if (FirstSet(session, effective) is { } set)
        {
            throw new CommandException(ExitCode.Usage, $"{set.Name} has no effect on {what}. Leave it out.");
        }
    }

    /// <summary>A folder that train wrote brings its prompts, its lengths and its generation; the command line comes before it.</summary>
    private (string Folder, ModelOptions Options, GenerationOptions Generation) Settings(Session session)
    {
        string path = Named(session);
        SorsaFineTuningTrainer.Options? trained = Trained(session);
        if (RunFolder.Is(path))
        {
            path = RunFolder.FinishedModel(path);
        }
        else if (StoredModel.IsAdapter(path) && !StoredModel.IsModel(path))
        {
            throw new CommandException(ExitCode.Input, $"'{path}' is an adapter. Name its base, and the adapter with {_adapter.Name}.");
        }

        GenerationOptions generation = trained is null ? new GenerationOptions() : trained.Generation with { };
        return (path, _options.Apply(session.Arguments, Defaults(trained)), _generation.Apply(session.Arguments, generation));
    }

    private static SorsaFineTuningTrainer.Options? Trained(string adapter) =>
        RunFolder.OfAdapter(adapter) is { } run ? RunFile.Read(RunFolder.Config(run)).Options : null;

    private static ModelOptions Defaults(SorsaFineTuningTrainer.Options? trained) => trained is null ? new ModelOptions() : new ModelOptions
    {
        PromptColumnName = trained.PromptColumnName,
        OutputColumnName = trained.OutputColumnName,
        PromptTemplate = trained.PromptTemplate,
        MaxPromptLength = trained.MaxPromptLength,
        MapWeights = trained.MapWeights,
    };

    private OptionEntry? FirstSet(Session session, IReadOnlyCollection<string> but) => _options.Entries.Concat(_generation.Entries)
        .FirstOrDefault(entry => OptionTable<ModelOptions>.IsSet(session.Arguments, entry) && !but.Contains(entry.Key));

    /// <summary>A zip brings everything with it.</summary>
    private void Refuse(Session session, string zip)
    {
        // The name of a column of rows says where these have their prompts.
        if (FirstSet(session, [nameof(ModelOptions.PromptColumnName)]) is { } set)
        {
            throw new CommandException(ExitCode.Usage,
                $"{set.Name} does not go with '{zip}': a model zip brings its own. Leave it out, or name the model's folder.");
        }
    }

    private static SorsaTransformer Adapted(SorsaTransformer model, string? adapter)
    {
        try
        {
            if (adapter is not null)
            {
                model.LoadAdapter(AdapterName, adapter);
                model.UseAdapter(AdapterName);
            }

            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }
}
