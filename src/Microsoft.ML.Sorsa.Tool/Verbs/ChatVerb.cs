using System.CommandLine;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Tool.Inputs;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

/// <summary>Talks with a model: a line, an answer as it is written, the next line. Of piped text every line is a turn.</summary>
internal sealed class ChatVerb : Verb
{
    private const string Reset = "/reset", Exit = "/exit";

    private readonly ModelSource _model;

    private readonly Option<string?> _system = new("--system")
    {
        HelpName = "TEXT",
        Description = "Instructions in front of the conversation.",
    };

    public ChatVerb(Shell shell)
        : base(shell, "chat", $"Talks with a model, turn by turn. {Reset} begins anew, {Exit} ends.")
    {
        _model = new ModelSource(this, shell);
        Options.Add(_system);
    }

    protected override JsonObject Run(Session session)
    {
        using SorsaTransformer model = _model.Open(session);
        using IChatClient client = model.AsChatClient();
        List<ChatMessage> conversation = Begin(session);
        bool isTerminal = !session.IsJson && Session.Console(session.Output).Profile.Out.IsTerminal;
        if (isTerminal)
        {
            session.Say($"{Reset} begins anew, {Exit} ends.");
        }

        try
        {
            while (NextLine(session, isTerminal) is { } line && line != Exit)
            {
                if (line == Reset)
                {
                    conversation = Begin(session);
                }
                else if (!string.IsNullOrWhiteSpace(line))
                {
                    Turn(session, client, conversation, line);
                }
            }
        }
        catch (OperationCanceledException) when (
            session.CancellationToken.IsCancellationRequested && session.Interruption.ExitCode == ExitCode.Interrupted)
        {
            // Ctrl+C is how people leave.
            session.Say($"");
        }

        return new JsonObject
        {
            ["messages"] = new JsonArray([.. conversation.Select(message =>
                new JsonObject { ["role"] = message.Role.Value, ["text"] = message.Text })]),
        };
    }

    private List<ChatMessage> Begin(Session session) =>
        session.Arguments.GetValue(_system) is { } system ? [new ChatMessage(ChatRole.System, system)] : [];

    private static string? NextLine(Session session, bool isTerminal)
    {
        if (isTerminal)
        {
            session.Output.Write("> ");
            session.Output.Flush();
        }

        // A signal does not end a read that waits.
        return Task.Run(session.Input.ReadLine).WaitAsync(session.CancellationToken).GetAwaiter().GetResult();
    }

    /// <summary>One turn. What the model cannot take, as more than its positions, is said, and the conversation goes on without.</summary>
    private static void Turn(Session session, IChatClient client, List<ChatMessage> conversation, string line)
    {
        var message = new ChatMessage(ChatRole.User, line);
        try
        {
            string answer = Answer(session, client, [.. conversation, message]);
            conversation.AddRange([message, new ChatMessage(ChatRole.Assistant, answer)]);
        }
        catch (ArgumentException e)
        {
            session.Warn($"{Failure.Of(e, session.Wording).Message} This message was left out; {Reset} begins anew.");
        }
    }

    private static string Answer(Session session, IChatClient client, List<ChatMessage> conversation)
    {
        var answer = new StringBuilder();
        IAsyncEnumerable<ChatResponseUpdate> updates =
            client.GetStreamingResponseAsync(conversation, cancellationToken: session.CancellationToken);
        foreach (ChatResponseUpdate update in updates.ToBlockingEnumerable(session.CancellationToken))
        {
            answer.Append(update.Text);
            if (!session.IsJson)
            {
                session.Output.Write(update.Text);
                session.Output.Flush();
            }
        }

        session.Say($"");
        return answer.ToString();
    }
}
