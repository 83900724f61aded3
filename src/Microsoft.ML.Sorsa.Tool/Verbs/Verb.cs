using System.CommandLine;
using System.Text.Json.Nodes;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

// Microsoft.ML.Command is a namespace.
using Command = System.CommandLine.Command;

/// <summary>One verb of the command line: options, what it calls of the library, and what came out.</summary>
internal abstract class Verb : Command
{
    protected Verb(Shell shell, string name, string description)
        : base(name, description) =>
        SetAction(arguments =>
        {
            using var session = new Session(arguments, shell);
            try
            {
                session.Finish(Run(session));
                return ExitCode.Success;
            }
            catch (OperationCanceledException e) when (session.CancellationToken.IsCancellationRequested)
            {
                throw new CommandException(session.Interruption.ExitCode, "Interrupted.", e);
            }
        });

    /// <summary>Does it, and tells people on the way.</summary>
    /// <returns>What machines are told.</returns>
    protected abstract JsonObject Run(Session session);
}
