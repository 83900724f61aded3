using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net.Sockets;
using ChatService;
using Microsoft.AspNetCore.Connections;
using Microsoft.ML;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Data;

string bundled = Path.Combine(AppContext.BaseDirectory, "models", "tiny-llama-math");
Option<string> model = new("--model")
{
    Description = "A model zip, or a Hugging Face folder with a Llama or Mistral model; by default the bundled one.",
    DefaultValueFactory = _ => bundled,
};
Option<string?> template = new("--template")
{
    Description = "What stands around a message: chat, alpaca, or a text with {prompt} in it. By default as the model was trained, or "
        + "its own chat template; the bundled model goes on with stories as they are.",
};
Option<string?> name = new("--name") { Description = "What clients call the model; by default the name of its file or folder." };
Option<Uri> url = new("--url")
{
    CustomParser = result => Address(result, "http://127.0.0.1:5080, without a path", uri => uri is { Scheme: "http", AbsolutePath: "/" }),
    Description = "Where to listen. There is no sign-in: on another address than loopback everybody who reaches it may ask.",
    DefaultValueFactory = _ => new Uri("http://127.0.0.1:5080"),
};
Option<Uri?> otlp = new("--otlp")
{
    CustomParser = result => Address(result, "http://127.0.0.1:4318", uri => uri.Scheme is "http" or "https"),
    Description = "The collector that traces and metrics go to, by OTLP over HTTP, such as http://127.0.0.1:4318; by default none.",
};
Option<int> maxNewTokens = new("--max-new-tokens")
{
    Description = "Tokens of an answer where a request does not say.",
    DefaultValueFactory = _ => 256,
};

model.Validators.Add(result =>
{
    if (result.GetValueOrDefault<string>() is { } path && !File.Exists(path) && !Directory.Exists(path))
    {
        result.AddError($"--model is '{path}', and there is no such file or folder. Name a model zip or a Hugging Face folder.");
    }
});
maxNewTokens.Validators.Add(result =>
{
    if (result.GetValueOrDefault<int>() < 1)
    {
        result.AddError($"--max-new-tokens is {result.GetValueOrDefault<int>()}; it must be at least 1.");
    }
});

RootCommand root = new("Serves a model: a page to chat on, and OpenAI's chat completions for any client.")
{
    model, template, name, url, otlp, maxNewTokens,
};
root.SetAction(async (arguments, cancellationToken) =>
{
    string path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(arguments.GetValue(model)!));
    Uri address = arguments.GetValue(url)!;
    using SorsaTransformer transformer = Load(path);
    await using WebApplication app = ChatServer.Build(transformer, new ChatServerOptions
    {
        Name = arguments.GetValue(name) ?? Path.GetFileNameWithoutExtension(path),
        Url = address,
        Otlp = arguments.GetValue(otlp),
        MaxNewTokens = arguments.GetValue(maxNewTokens),
        Template = arguments.GetValue(template) switch
        {
            null => path == bundled ? PromptTemplate.Format("{prompt}") : null,
            "chat" => PromptTemplate.Chat,
            "alpaca" => PromptTemplate.Alpaca,
            { } format => PromptTemplate.Format(format),
        },
    });
    if (!address.IsLoopback)
    {
        Console.Error.WriteLine($"{address} can be reached from other machines, and everybody there may ask: there is no sign-in.");
    }

    await app.StartAsync(cancellationToken);
    Console.WriteLine(
        $"The model listens on {string.Join(", ", app.Urls)}: a page to chat on, /v1/chat/completions, /health. Ctrl+C ends it.");
    await app.WaitForShutdownAsync(cancellationToken);
    return 0;
});

ParseResult parsed = root.Parse(args);
try
{
    return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (IOException e) when (e.GetBaseException() is AddressInUseException or SocketException)
{
    Console.Error.WriteLine($"{e.Message.TrimEnd('.')}. Choose another port with --url; port 0 takes any that is free.");
    return 1;
}
catch (SocketException e)
{
    Console.Error.WriteLine(
        $"--url is '{parsed.GetValue(url)}', where this service cannot listen: {e.Message.TrimEnd('.')}. "
        + "Name an address of this machine, and a port that you may open.");
    return 1;
}
catch (Exception e) when (
    e.GetBaseException() is ArgumentException or IOException or InvalidDataException or InvalidOperationException or NotSupportedException
        or FormatException or UnauthorizedAccessException)
{
    // ML.NET wraps what a model's loader throws.
    Console.Error.WriteLine(e.GetBaseException().Message);
    return 1;
}

static Uri? Address(ArgumentResult result, string example, Predicate<Uri> fits)
{
    string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
    if (Uri.TryCreate(text, UriKind.Absolute, out Uri? address) && fits(address))
    {
        return address;
    }

    result.AddError($"{((OptionResult)result.Parent!).Option.Name} is '{text}'; it must be an address such as {example}.");
    return null;
}

static SorsaTransformer Load(string path)
{
    var mlContext = new MLContext();
    return File.Exists(path) ? mlContext.Sorsa().LoadZip(path) : mlContext.Sorsa().LoadModel(path);
}
