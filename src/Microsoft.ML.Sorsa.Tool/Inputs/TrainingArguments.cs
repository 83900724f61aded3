using System.CommandLine;
using Microsoft.ML.Sorsa.Tool.Options;

namespace Microsoft.ML.Sorsa.Tool.Inputs;

// Microsoft.ML.Command is a namespace.
using Command = System.CommandLine.Command;

/// <summary>What train, sweep and estimate are told: rows, and every option of the trainer.</summary>
internal sealed class TrainingArguments
{
    private readonly Argument<string?> _data = new("data")
    {
        Arity = ArgumentArity.ZeroOrOne,
        Description = "The rows: a .jsonl, .json, .csv or .tsv file, or a folder with such files (train.*, validation.*).",
    };

    private readonly Option<string?> _config = new("--config")
    {
        HelpName = "run.json",
        Description = "A file with rows and options, as train writes it; what the command line says comes before it.",
    };

    private readonly Option<string?> _validationData = new("--validation-data")
    {
        HelpName = "FILE",
        Description = "Rows that are not trained on: the weights of their lowest loss are kept.",
    };

    private readonly Option<string?> _validationFraction = new("--validation-fraction")
    {
        HelpName = "NUMBER",
        Description = "The share of the rows that is not trained on, drawn by --seed. Default 0: none; below 1.",
    };

    private readonly OptionTable<SorsaFineTuningTrainer.Options> _trainer = RunFile.TrainerOptions();

    public TrainingArguments(Command command, Shell shell)
    {
        command.Arguments.Add(_data);
        command.Options.Add(_config);
        command.Options.Add(_validationData);
        command.Options.Add(_validationFraction);
        _trainer.AddTo(command);
        shell.Options.AddRange(_trainer.Entries);
    }

    /// <summary>What --config has, under what the command line says.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="needsData">Whether rows must be named.</param>
    /// <exception cref="CommandException">A value is none of its option, or the model or the rows are not named.</exception>
    public RunSettings Read(ParseResult arguments, bool needsData = true)
    {
        RunSettings settings = arguments.GetValue(_config) is { } config ? RunFile.Read(config) : new RunSettings();
        settings.Data = arguments.GetValue(_data) ?? settings.Data;
        settings.ValidationData = arguments.GetValue(_validationData) ?? settings.ValidationData;
        if (arguments.GetValue(_validationFraction) is { } fraction)
        {
            settings.ValidationFraction = Fraction(fraction);
        }

        _trainer.Apply(arguments, settings.Options);
        settings.SaidFolders.UnionWith(RunFile.OwnFolders.Where(name => _trainer.Has(arguments, name)));
        if (settings.ValidationFraction is not (>= 0 and < 1))
        {
            throw new CommandException(ExitCode.Usage, FormattableString.Invariant(
                $"--validation-fraction is {settings.ValidationFraction}; it must be at least 0 and below 1. Use 0.1 for a tenth."));
        }

        if (settings is { ValidationData: not null, ValidationFraction: > 0 })
        {
            throw new CommandException(ExitCode.Usage, "--validation-data and --validation-fraction do not go together. Leave one out.");
        }

        if (string.IsNullOrWhiteSpace(settings.Options.ModelFolder))
        {
            throw new CommandException(ExitCode.Usage, "--model-folder is not set. Name the folder of the model to start from.");
        }

        return needsData && string.IsNullOrWhiteSpace(settings.Data)
            ? throw new CommandException(ExitCode.Usage, "No rows are named. Name a file or a folder: sorsa train rows.jsonl ...")
            : settings;
    }

    /// <summary>Whether the command line has an option of the trainer.</summary>
    public bool Has(ParseResult arguments, string key) => _trainer.Has(arguments, key);

    private static double Fraction(string text)
    {
        try
        {
            return (double)OptionValue.Parse(typeof(double), isNullable: false, [text])!;
        }
        catch (FormatException e)
        {
            throw new CommandException(ExitCode.Usage, $"--validation-fraction {e.Message}", e);
        }
    }
}
