using System.CommandLine;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Tool.Inputs;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

/// <summary>Goes on with a training that was interrupted, to the bits of one that was not.</summary>
internal sealed class ResumeVerb : Verb
{
    private readonly Argument<string> _run = new("run") { Description = "The folder that train wrote." };

    public ResumeVerb(Shell shell)
        : base(shell, "resume", "Goes on with a training that was interrupted.") => Arguments.Add(_run);

    protected override JsonObject Run(Session session)
    {
        string folder = session.Arguments.GetValue(_run)!;
        if (!RunFolder.Is(folder))
        {
            throw new CommandException(ExitCode.Input, Directory.Exists(folder)
                ? $"'{folder}' holds no training: there is no {RunFile.Name}. Name a folder that train wrote."
                : $"There is no folder '{folder}'. Name one that train wrote.");
        }

        if (Directory.Exists(RunFolder.Model(folder)))
        {
            session.Say($"The training in '{folder}' has come to its end; the model is in '{RunFolder.Model(folder)}'.");
            return new JsonObject { ["run"] = folder, ["model"] = RunFolder.Model(folder), ["steps"] = 0 };
        }

        RunSettings settings = RunFile.Read(RunFolder.Config(folder));

        // One that ended before its first checkpoint begins anew.
        settings.Options.Resume = ResumeMode.Auto;
        TrainingRun.SetFolders(settings, folder);
        return TrainingRun.Go(session, settings, folder, new TrainingProgress(session));
    }
}
