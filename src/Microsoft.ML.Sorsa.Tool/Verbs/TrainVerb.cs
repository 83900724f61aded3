using System.CommandLine;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Tool.Inputs;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

/// <summary>Fine-tunes a model on a file of rows, into a folder of its own.</summary>
internal sealed class TrainVerb : Verb
{
    private readonly TrainingArguments _training;

    private readonly Option<string> _out = new("--out", "-o")
    {
        HelpName = "FOLDER",
        Description = "A new folder for run.json, checkpoints, model and adapter. Default sorsa-run.",
        DefaultValueFactory = _ => "sorsa-run",
    };

    private readonly Option<string[]> _ask = new("--ask")
    {
        HelpName = "PROMPT",
        Description = "A prompt for the report, which base and trained model answer; the option may stand several times.",
    };

    public TrainVerb(Shell shell)
        : base(shell, "train", "Fine-tunes a model on rows of prompts and responses.")
    {
        _training = new TrainingArguments(this, shell);
        Options.Add(_out);
        Options.Add(_ask);
    }

    protected override JsonObject Run(Session session)
    {
        RunSettings settings = _training.Read(session.Arguments);
        string folder = session.Arguments.GetValue(_out)!;
        settings.Ask = session.Arguments.GetValue(_ask) is { Length: > 0 } asked ? asked : settings.Ask;
        TrainingRun.SetFolders(settings, folder);

        // Whatever can be refused is refused before a file is written.
        _ = session.Sorsa.FineTune(settings.Options);
        _ = RowFile.Load(session.Context, settings);
        Output.VerifyFolder(folder);
        DistinctPaths.Verify(
        [
            (_out.Name, folder), ("--checkpoint-folder", settings.Options.CheckpointFolder),
            ("--tensor-board-folder", settings.Options.TensorBoardFolder), .. RunFolder.Written(folder).Select(path => (_out.Name, path)),
        ], []);
        Output.Write(folder, () =>
        {
            Directory.CreateDirectory(folder);
            RunFile.Write(RunFolder.Config(folder), settings);
        });
        var progress = new TrainingProgress(session);
        try
        {
            return TrainingRun.Go(session, settings, folder, progress);
        }
        catch when (progress.Last is null && !session.CancellationToken.IsCancellationRequested)
        {
            // Refused: the same command is to work once it is mended.
            Directory.Delete(folder, recursive: true);
            throw;
        }
    }
}
