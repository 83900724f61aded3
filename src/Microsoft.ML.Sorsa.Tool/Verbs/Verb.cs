using System.CommandLine;
using System.CommandLine.Parsing;
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

    /// <summary>Refuses numbers below the least that an option takes, before anything is read.</summary>
    protected static void Least(Option option, int least) => option.Validators.Add(result =>
    {
        if (result.Tokens is [var token] && int.TryParse(token.Value, out int number) && number < least)
        {
            result.AddError($"{option.Name} is {number}; it must be at least {least}.");
        }
    });

    /// <summary>The number that the command line has for an option; null: none, or something else.</summary>
    protected static int? Number(CommandResult arguments, Option option) =>
        arguments.GetResult(option)?.Tokens is [var token] && int.TryParse(token.Value, out int number) ? number : null;

    /// <summary>Does it, and tells people on the way.</summary>
    /// <returns>What machines are told.</returns>
    protected abstract JsonObject Run(Session session);
}
