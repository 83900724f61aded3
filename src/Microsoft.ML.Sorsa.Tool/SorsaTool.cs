using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Tool.Options;
using Microsoft.ML.Sorsa.Tool.Verbs;

namespace Microsoft.ML.Sorsa.Tool;

/// <summary>The command <c>sorsa</c>: parses, runs a verb, and tells errors.</summary>
internal static class SorsaTool
{
    /// <summary>Runs one command line.</summary>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static int Run(IReadOnlyList<string> arguments, TextReader input, TextWriter output, TextWriter error)
    {
        var shell = new Shell(input);
        RootCommand root = Create(shell);

        // A prompt may begin with @.
        ParseResult parse = root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        try
        {
            if (parse.Action is HelpAction)
            {
                Documentation.Describe(shell.Options, Wording.Of(parse.CommandResult.Command));
            }
            else if (parse.Action is ParseErrorAction || parse.CommandResult.Command is Verb)
            {
                UnknownNames.Verify(parse);
            }

            return parse.Invoke(new InvocationConfiguration
            {
                Output = output,
                Error = error,
                EnableDefaultExceptionHandler = false,
                // Session answers signals: a training has a checkpoint to write.
                ProcessTerminationTimeout = null,
            });
        }
#pragma warning disable CA1031 // Every error ends in one line and an exit code.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Failure failure = Failure.Of(e, Wording.Of(parse.CommandResult.Command));
            error.WriteLine($"sorsa: {failure.Message}");
            if (arguments.TakeWhile(argument => argument != "--").Contains(shell.Json.Name))
            {
                var json = new JsonObject { ["error"] = failure.Message, ["exitCode"] = failure.ExitCode };
                output.WriteLine(json.ToJsonString(Session.Json));
            }

            return failure.ExitCode;
        }
    }

    /// <summary>All verbs.</summary>
    internal static RootCommand Create(Shell shell)
    {
        var root = new RootCommand("Fine-tunes language models with SORSA and other methods, asks them, and hands them on.")
        {
            shell.Json, shell.GpuDeviceId,
        };
        foreach (Verb verb in (Verb[])
        [
            new TrainVerb(shell), new ResumeVerb(shell), new ChatVerb(shell), new GenerateVerb(shell), new EvalVerb(shell),
            new SweepVerb(shell), new AnalyzeVerb(shell), new MergeVerb(shell), new ExportVerb(shell), new InspectVerb(shell),
            new EstimateVerb(shell), new CompletionVerb(shell),
        ])
        {
            root.Subcommands.Add(verb);
        }

        return root;
    }
}
