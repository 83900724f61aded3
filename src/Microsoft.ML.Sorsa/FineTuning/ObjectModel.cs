using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>
/// A model object beside the folder that describes it. Where our decoder gives the object's logits over the object's own tensors, it is
/// a model of that folder in everything; where it does not, the object itself is trained.
/// </summary>
internal static class ObjectModel
{
    /// <param name="module">Stays the user's.</param>
    /// <param name="forward">Token ids to logits; null: by the shape of the model's class.</param>
    /// <param name="config">The folder's config.json.</param>
    /// <param name="settings">With the folder.</param>
    /// <param name="log">Is told where the object itself is trained.</param>
    /// <exception cref="ArgumentException">
    /// The tokenizer is another model's; an option cannot be had where the object itself is trained.
    /// </exception>
    /// <exception cref="InvalidDataException">A tensor of the object has another shape than config.json asks for.</exception>
    public static IPretrainedModel Open(
        nn.Module module, Func<Tensor, Tensor>? forward, DecoderConfig config, FineTuningSettings settings, IChannel log)
    {
        var model = ForeignModel.Bind(module, forward, config.Spec.MaxPositions, config.EosTokenIds);
        DecoderLayout layout = CausalLM.Layout(config.Spec);
        var weights = new ModuleWeights(module, layout, config.Spec.TieWordEmbeddings);
        VerifyShapes(layout, weights);
        int longestText = settings.MaxPromptLength + Math.Max(settings.MaxResponseLength, settings.Generation.MaxNewTokens);
        if (Difference(model, config, weights, longestText) is not { } difference)
        {
            return new FolderModel(settings, config, model.Device, weights);
        }

        string why = $"it does not compute what '{Path.Combine(settings.ModelFolder, DecoderConfig.FileName)}' asks for: {difference}";
        settings.VerifyInPlace(
            $" ({why})", $"fine-tune the folder itself ({nameof(settings.ModelFolder)} in the options), without the object");
        log.Warning(MessageSensitivity.None, $"The model object is trained where it lies, and cannot be saved here, since {why}.");
        TextTokenizer tokenizer = TextTokenizer.Load(settings.ModelFolder, Math.Min(config.Spec.VocabularySize, model.VocabularySize));
        return new ModuleModel(model, tokenizer, FolderModel.EndOf(config, tokenizer, settings.ModelFolder), settings, why);
    }

    /// <summary>Whatever the object lacks, or has more: what it has must be of this configuration.</summary>
    private static void VerifyShapes(DecoderLayout layout, ModuleWeights weights)
    {
        using Checkpoint checkpoint = Checkpoint.Over(
            weights.Tensors.Where(named => layout.Tensors.ContainsKey(named.Key)), FolderModel.ObjectName);
        checkpoint.Verify(
            layout.Tensors.Where(named => weights.Tensors.ContainsKey(named.Key)).ToDictionary(StringComparer.Ordinal));
    }

    /// <summary>Null where our decoder computes what the object does.</summary>
    private static string? Difference(ForeignModel model, DecoderConfig config, ModuleWeights weights, int longestText)
    {
        if (weights.Missing.Count > 0)
        {
            return $"no tensor of the object is called {NameList.Join(weights.Missing)}";
        }

        if (weights.Tensors.Values.Any(tensor => !TorchDevice.IsSame(tensor.device, model.Device)))
        {
            return "its tensors lie on several devices";
        }

        using Checkpoint checkpoint = Checkpoint.Over(weights.Tensors, FolderModel.ObjectName);
        using CausalLM ours = CausalLM.Load(config, checkpoint, WeightType.Checkpoint.ToScalarType(checkpoint.StoredType), model.Device);
        ours.eval();
        return new LogitsProbe(model, ours).Difference(longestText);
    }
}
