using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Interop;
using TorchSharp;
using TorchSharp.PyBridge;
using static TorchSharp.torch;

#pragma warning disable IDE0130 // The namespace is that of the package.

namespace Microsoft.ML.GenAI.LLaMA;

/// <summary>Loads as GenAI's: by TorchSharp.PyBridge, in a type of its own choice; a tied head is copied in the end.</summary>
internal sealed class LlamaForCausalLM(DecoderSpec spec) : LlamaLookAlike(spec)
{
    public static LlamaForCausalLM FromPretrained(
        string modelFolder, string configName = "config.json", string checkPointName = "model.safetensors.index.json",
        ScalarType torchDtype = ScalarType.BFloat16, string device = "cpu")
    {
        DecoderSpec spec = DecoderConfig.Parse(File.ReadAllBytes(Path.Combine(modelFolder, configName)), configName).Spec;
        var model = new LlamaForCausalLM(spec);
        model.to(torchDtype);
        model.load_checkpoint(path: modelFolder, checkpointName: checkPointName, strict: true, useTqdm: false);
        model.to(device);
        model.TieWordEmbeddings(spec);
        return model;
    }
}
