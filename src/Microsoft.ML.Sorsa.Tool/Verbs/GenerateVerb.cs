using System.CommandLine;
using System.Text.Json.Nodes;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Tool.Inputs;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

/// <summary>Lets a model answer prompts: from the command line, a file of rows, or the standard input.</summary>
internal sealed class GenerateVerb : Verb
{
    private readonly ModelSource _model;

    private readonly Argument<string[]> _prompts = new("prompts")
    {
        Arity = ArgumentArity.ZeroOrMore,
        Description = "What to answer, each in quotes; without any, and without --data, the standard input is one prompt.",
    };

    private readonly Option<string?> _data = new("--data")
    {
        HelpName = "FILE",
        Description = "Rows with prompts in --prompt-column-name.",
    };

    private readonly Option<string?> _out = new("--out", "-o")
    {
        HelpName = "FILE",
        Description = "A file for prompts and replies as JSON lines, in the place of the standard output.",
    };

    public GenerateVerb(Shell shell)
        : base(shell, "generate", "Lets a model answer prompts.")
    {
        _model = new ModelSource(this, shell);
        Arguments.Add(_prompts);
        Options.Add(_data);
        Options.Add(_out);
    }

    protected override JsonObject Run(Session session)
    {
        string[] prompts = session.Arguments.GetValue(_prompts) ?? [];
        string? data = session.Arguments.GetValue(_data), file = session.Arguments.GetValue(_out);
        if (prompts.Length > 0 && data is not null)
        {
            throw new CommandException(ExitCode.Usage, "Prompts and --data do not go together. Leave one out.");
        }

        Output.VerifyFile(file);
        if (file is not null)
        {
            DistinctPaths.Verify([(_out.Name, file)], [.. _model.Files(session), .. data is null ? [] : RowFile.All(data)]);
        }

        string column = _model.Options(session).PromptColumnName;
        prompts = data is not null
            ? [.. RowFile.Load(session.Context, data, column).GetColumn<string>(column)]
            : prompts.Length > 0 ? prompts : [Typed(session)];
        using SorsaTransformer model = _model.Open(session);
        if (prompts is [var single] && file is null && !session.IsJson)
        {
            foreach (string piece in model.Stream(single, session.CancellationToken))
            {
                session.Output.Write(piece);
                session.Output.Flush();
            }

            session.Output.WriteLine();
            return [];
        }

        IEnumerable<string> replies = model.Generate(prompts, session.CancellationToken);
        IEnumerable<JsonObject> rows = prompts.Zip(replies, Row);
        if (file is not null)
        {
            Output.Write(file, () => WholeFile.Write(file, writer =>
            {
                foreach (JsonObject row in rows)
                {
                    writer.Write(row.ToJsonString(Session.Json) + "\n");
                }
            }));
            session.Say($"{prompts.Length} replies: {file}");
            return new JsonObject { ["out"] = file, ["count"] = prompts.Length };
        }

        if (session.IsJson)
        {
            return new JsonObject { ["replies"] = new JsonArray([.. rows]) };
        }

        foreach (string reply in replies)
        {
            session.Say($"{reply}");
            session.Output.Flush();
        }

        return [];
    }

    private static string Typed(Session session)
    {
        string text = session.Input.ReadToEnd().TrimEnd('\r', '\n');
        return text.Length > 0 ? text : throw new CommandException(
            ExitCode.Usage, "There is no prompt. Write one behind the model, name a file with --data, or pipe one in.");
    }

    private static JsonObject Row(string prompt, string reply) => new() { ["prompt"] = prompt, ["reply"] = reply };
}
