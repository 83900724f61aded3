using System.CommandLine;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Tool.Inputs;
using Microsoft.ML.Sorsa.Tool.Options;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

/// <summary>Writes a model, or its adapter, as other programs read it.</summary>
internal sealed class ExportVerb : Verb
{
    private const string HuggingFace = "hf", Zip = "zip", Gguf = "gguf", Peft = "peft", LoraDifference = "lora-difference";
    private const string OwnAdapter = "adapter", GgufAdapter = "gguf-adapter";

    private static readonly string[] s_files = [Zip, Gguf, GgufAdapter];

    private readonly ModelSource _model;

    private readonly Option<string> _format = new("--format", "-f")
    {
        HelpName = "hf|zip|gguf|peft|lora-difference|adapter|gguf-adapter",
        Required = true,
        Description = "hf: a Hugging Face folder. zip: ML.NET's model zip. gguf: one file for llama.cpp, Ollama and LLamaSharp. peft: the "
            + "adapter as PEFT reads it, as what it is or, of methods that PEFT lacks, as an ordinary LoRA. lora-difference: as an "
            + "ordinary LoRA always. adapter: in the library's own format. gguf-adapter: for llama.cpp.",
    };

    private readonly Option<string?> _ggufType = new("--gguf-type")
    {
        HelpName = string.Join('|', Enum.GetNames<GgufType>()),
        Description = "What the matrices of a GGUF file become. Default F16.",
    };

    private readonly Option<string?> _preTokenizer = new("--pre-tokenizer")
    {
        HelpName = "NAME",
        Description = "llama.cpp's name for the tokenizer's way to cut texts; without it, it is found.",
    };

    private readonly Option<string> _out = new("--out", "-o")
    {
        HelpName = "PATH",
        Description = "A new folder; of zip, gguf and gguf-adapter a file.",
        Required = true,
    };

    public ExportVerb(Shell shell)
        : base(shell, "export", "Writes a model or its adapter in another format.")
    {
        _model = new ModelSource(this, shell);
        _format.AcceptOnlyFromAmong(HuggingFace, Zip, Gguf, Peft, LoraDifference, OwnAdapter, GgufAdapter);
        Options.Add(_format);
        Options.Add(_out);
        _ggufType.CompletionSources.Add(Enum.GetNames<GgufType>());
        Options.Add(_ggufType);
        _preTokenizer.CompletionSources.Add([.. SorsaGgufExtensions.PreTokenizers]);
        Options.Add(_preTokenizer);
    }

    protected override JsonObject Run(Session session)
    {
        string format = session.Arguments.GetValue(_format)!, path = session.Arguments.GetValue(_out)!;
        string? preTokenizer = session.Arguments.GetValue(_preTokenizer);
        GgufType type = Type(session.Arguments.GetValue(_ggufType), format);
        if (preTokenizer is not null && format != Gguf)
        {
            throw new CommandException(ExitCode.Usage, $"{_preTokenizer.Name} belongs to --format gguf. Leave it out.");
        }

        if (preTokenizer is not null && !SorsaGgufExtensions.PreTokenizers.Contains(preTokenizer, StringComparer.Ordinal))
        {
            throw new CommandException(ExitCode.Usage, $"{_preTokenizer.Name} is '{preTokenizer}'; it must be one of "
                + $"{string.Join(", ", SorsaGgufExtensions.PreTokenizers)}. Without the option it is found.");
        }

        // A zip holds all of it. The template stands in a model card; how weights are loaded decides what memory that takes.
        if (format != Zip)
        {
            _model.Refuse(session, Effective(format), $"--format {format}");
        }

        if (s_files.Contains(format, StringComparer.Ordinal))
        {
            Output.VerifyFile(path);
            DistinctPaths.Verify([(_out.Name, path)], _model.Files(session));
        }
        else
        {
            Output.VerifyFolder(path);
        }

        switch (format)
        {
            case HuggingFace:
                Write(session, path, model => model.SaveHuggingFace(path));
                break;
            case Zip:
                Write(session, path, model => model.Save(path));
                break;
            case Gguf:
                Write(session, path, model => model.SaveGguf(path, type, preTokenizer));
                break;
            case GgufAdapter:
                WriteAdapter(session, path, model => model.SaveAdapter(path, AdapterFormat.Gguf));
                break;
            case Peft:
                WriteAdapter(session, path, model => format = SavePeft(model, path));
                break;
            case LoraDifference:
                WriteAdapter(session, path, model => model.SaveAdapter(path, AdapterFormat.LoraDifference));
                break;
            default:
                WriteAdapter(session, path, model => model.SaveAdapter(path));
                break;
        }

        session.Say($"{format}: {path}");
        return new JsonObject { ["format"] = format, ["out"] = path };
    }

    private GgufType Type(string? text, string format)
    {
        if (text is not null && format != Gguf)
        {
            throw new CommandException(ExitCode.Usage, $"{_ggufType.Name} belongs to --format gguf. Leave it out.");
        }

        try
        {
            return text is null ? GgufType.F16 : (GgufType)OptionValue.Parse(typeof(GgufType), isNullable: false, [text])!;
        }
        catch (FormatException e)
        {
            throw new CommandException(ExitCode.Usage, $"{_ggufType.Name} {e.Message}", e);
        }
    }

    private void Write(Session session, string path, Action<SorsaTransformer> save)
    {
        using SorsaTransformer model = _model.Open(session);
        Output.Write(path, () => save(model));
    }

    private void WriteAdapter(Session session, string path, Action<SorsaTransformer> save)
    {
        using SorsaTransformer model = _model.OpenWithAdapter(session);
        Output.Write(path, () => save(model));
    }

    private static string[] Effective(string format) => format switch
    {
        HuggingFace => [nameof(ModelOptions.PromptTemplate), nameof(ModelOptions.ComputeType), nameof(ModelOptions.MapWeights)],
        Gguf => [nameof(ModelOptions.ComputeType), nameof(ModelOptions.MapWeights)],
        GgufAdapter => [],
        _ => [nameof(ModelOptions.PromptTemplate)],
    };

    /// <summary>What PEFT does not have, or would start otherwise, it reads as the difference to the base, exactly.</summary>
    /// <returns>The format that was written.</returns>
    private static string SavePeft(SorsaTransformer model, string path)
    {
        try
        {
            model.SaveAdapter(path, AdapterFormat.Peft);
            return Peft;
        }
        catch (NotSupportedException)
        {
            model.SaveAdapter(path, AdapterFormat.LoraDifference);
            return LoraDifference;
        }
    }
}
