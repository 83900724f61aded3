using System.CommandLine;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Tool.Inputs;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

/// <summary>Merges an adapter into its base: a plain model, in the type that the base is stored in.</summary>
internal sealed class MergeVerb : Verb
{
    private readonly Argument<string> _base = new("base") { Description = "The model that the adapter belongs to." };

    private readonly Argument<string> _adapter = new("adapter") { Description = "A folder that train or PEFT wrote." };

    private readonly Option<string> _out = new("--out", "-o")
    {
        HelpName = "FOLDER",
        Description = "A new folder, in the Hugging Face layout.",
        Required = true,
    };

    public MergeVerb(Shell shell)
        : base(shell, "merge", "Merges an adapter into its base.")
    {
        Arguments.Add(_base);
        Arguments.Add(_adapter);
        Options.Add(_out);
    }

    protected override JsonObject Run(Session session)
    {
        string folder = session.Arguments.GetValue(_out)!, adapter = session.Arguments.GetValue(_adapter)!;
        Output.VerifyFolder(folder);
        using SorsaTransformer model = ModelSource.Open(session, session.Arguments.GetValue(_base)!, adapter);
        Output.Write(folder, () => model.SaveHuggingFace(folder));
        session.Say($"model: {folder}");
        return new JsonObject { ["model"] = folder };
    }
}
