using System.CommandLine;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Tool.Inputs;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

/// <summary>Writes a model, or its adapter, as other programs read it.</summary>
internal sealed class ExportVerb : Verb
{
    private const string HuggingFace = "hf", Zip = "zip", Peft = "peft", LoraDifference = "lora-difference", OwnAdapter = "adapter";

    private readonly ModelSource _model;

    private readonly Option<string> _format = new("--format", "-f")
    {
        HelpName = "hf|zip|peft|lora-difference|adapter",
        Required = true,
        Description = "hf: a Hugging Face folder. zip: ML.NET's model zip. peft: the adapter as PEFT reads it, as what it is or, of methods "
            + "that PEFT lacks, as an ordinary LoRA. lora-difference: as an ordinary LoRA always. adapter: in the library's own format.",
    };

    private readonly Option<string> _out = new("--out", "-o")
    {
        HelpName = "PATH", Description = "A new folder, or a zip's file.", Required = true,
    };

    public ExportVerb(Shell shell)
        : base(shell, "export", "Writes a model or its adapter in another format.")
    {
        _model = new ModelSource(this, shell);
        _format.AcceptOnlyFromAmong(HuggingFace, Zip, Peft, LoraDifference, OwnAdapter);
        Options.Add(_format);
        Options.Add(_out);
    }

    protected override JsonObject Run(Session session)
    {
        string format = session.Arguments.GetValue(_format)!, path = session.Arguments.GetValue(_out)!;
        if (format == Zip)
        {
            Output.VerifyFile(path);
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
            case Peft:
                WriteAdapter(session, path, model => SavePeft(model, path));
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

    /// <summary>What PEFT does not have, or would start otherwise, it reads as the difference to the base, exactly.</summary>
    private static void SavePeft(SorsaTransformer model, string path)
    {
        try
        {
            model.SaveAdapter(path, AdapterFormat.Peft);
        }
        catch (NotSupportedException)
        {
            model.SaveAdapter(path, AdapterFormat.LoraDifference);
        }
    }
}
