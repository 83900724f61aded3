using Microsoft.Agents.AI;
using Microsoft.Extensions.AI;
using Microsoft.ML;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Generation;

// A model as an agent: dotnet run --project samples/ChatAgent -- [model folder or model.zip] [instructions]
// Without a model it is the bundled one, which knows arithmetic stories and little else.
const string BundledInstructions = "Answer the story.";
string path = args.ElementAtOrDefault(0) ?? Path.Combine(AppContext.BaseDirectory, "models", "tiny-llama-math");
string instructions = args.ElementAtOrDefault(1) ?? BundledInstructions;

var ml = new MLContext(seed: 1);
using SorsaTransformer model = Directory.Exists(path)
    ? ml.Sorsa().LoadModel(path, generation: new GenerationOptions { MaxNewTokens = 200 })
    : ml.Sorsa().LoadZip(path);

// The library's part ends here: what follows is any IChatClient's.
using IChatClient client = model.AsChatClient();
AIAgent agent = new ChatClientAgent(client, instructions, name: "Sorsa");
AgentSession session = await agent.CreateSessionAsync();

if (Console.IsInputRedirected)
{
    // A file with one message a line, or nothing: then two that show how a conversation goes on.
    List<string> messages = [.. (await Console.In.ReadToEndAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries)];
    foreach (string message in messages.DefaultIfEmpty("Tom has 3 apples and buys 4 more. How many apples does he have?")
        .Concat(messages.Count == 0 ? ["Lily has 12 pens and gives away 5. How many pens are left?"] : []))
    {
        Console.WriteLine($"> {message}");
        await AnswerAsync(message);
    }

    return;
}

Console.WriteLine("Say something; an empty line ends it.");
while (true)
{
    Console.Write("> ");
    if (Console.ReadLine() is not { Length: > 0 } message)
    {
        return;
    }

    await AnswerAsync(message);
}

async Task AnswerAsync(string message)
{
    await foreach (AgentResponseUpdate update in agent.RunStreamingAsync(message, session))
    {
        Console.Write(update.Text);
    }

    Console.WriteLine();
}
