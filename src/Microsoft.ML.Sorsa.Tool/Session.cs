using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Tool.Options;
using Spectre.Console;
using Spectre.Console.Rendering;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Tool;

/// <summary>One run of a verb: where it writes, what it computes with, and whether it was told to end.</summary>
internal sealed class Session : IDisposable
{
    /// <summary>One line, and letters as they are.</summary>
    public static readonly JsonSerializerOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private const int WidthOfFiles = 132;

    private readonly List<string> _warnings = [];

    public Session(ParseResult arguments, Shell shell)
    {
        Arguments = arguments;
        Input = shell.Input;
        IsJson = arguments.GetValue(shell.Json);
        int? gpu = arguments.GetValue(shell.GpuDeviceId);
        Verify(gpu, shell.GpuDeviceId.Name);
        Context = new MLContext(seed: 0) { GpuDeviceId = gpu, FallbackToCpu = false };
        Context.Log += (_, message) =>
        {
            if (message.Kind == ChannelMessageKind.Warning)
            {
                Warn(Wording.In(message.RawMessage));
            }
        };
    }

    public ParseResult Arguments { get; }

    /// <summary>What the verb calls the library's names.</summary>
    public Wording Wording => Wording.Of(Arguments.CommandResult.Command);

    public TextReader Input { get; }

    public TextWriter Output => Arguments.InvocationConfiguration.Output;

    public TextWriter Error => Arguments.InvocationConfiguration.Error;

    public bool IsJson { get; }

    public MLContext Context { get; }

    /// <summary>A terminal that shows a bar: lines go above it.</summary>
    public IAnsiConsole? Live { get; set; }

    public SorsaCatalog Sorsa => Context.Sorsa();

    public Interruption Interruption { get; } = new();

    public CancellationToken CancellationToken => Interruption.Token;

    /// <summary>A line for people.</summary>
    public void Say(FormattableString line)
    {
        if (!IsJson)
        {
            Output.WriteLine(line.ToString(CultureInfo.InvariantCulture));
        }
    }

    /// <summary>A table for people.</summary>
    public void Show(IRenderable table)
    {
        if (!IsJson)
        {
            Console(Output).Write(table);
        }
    }

    /// <summary>A line beside the result.</summary>
    public void Note(FormattableString line) => Error.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    public void Warn(string warning)
    {
        lock (_warnings)
        {
            // What is looked at twice, as rows are before an estimate and before a training, is told once.
            if (_warnings.Contains(warning))
            {
                return;
            }

            _warnings.Add(warning);
            string line = $"warning: {string.Join(' ', warning.Split('\n', StringSplitOptions.TrimEntries))}";
            if (Live is { } console)
            {
                console.WriteLine(line);
            }
            else
            {
                Error.WriteLine(line);
            }
        }
    }

    /// <summary>For bars and tables: a terminal, or a file of a certain width.</summary>
    public static IAnsiConsole Console(TextWriter writer)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) });
        if (!console.Profile.Out.IsTerminal)
        {
            console.Profile.Width = WidthOfFiles;
        }

        return console;
    }

    /// <summary>Writes what came out, for machines.</summary>
    public void Finish(JsonObject result)
    {
        if (IsJson)
        {
            lock (_warnings)
            {
                result["warnings"] = new JsonArray([.. _warnings.Select(warning => JsonValue.Create(warning))]);
            }

            Output.WriteLine(result.ToJsonString(Json));
        }
    }

    public void Dispose() => Interruption.Dispose();

    /// <summary>A GPU that is not there is told before anything is read.</summary>
    private static void Verify(int? gpu, string option)
    {
        int count = gpu is not null && torch.cuda.is_available() ? torch.cuda.device_count() : 0;
        if (gpu < 0 || gpu >= count)
        {
            throw new CommandException(ExitCode.Input, count > 0
                ? FormattableString.Invariant($"{option} is {gpu}; it must be from 0 to {count - 1}, the GPUs that can be used.")
                : FormattableString.Invariant($"{option} is {gpu}, and no GPU can be used. Leave it out to compute on the CPU, or build ")
                    + "sorsa with the CUDA package (-p:TorchBackend=cuda) on a machine with an NVIDIA GPU and its driver.");
        }
    }
}
