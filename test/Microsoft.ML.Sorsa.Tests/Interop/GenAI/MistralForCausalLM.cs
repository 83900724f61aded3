using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Interop;
using TorchSharp;
using TorchSharp.PyBridge;
using static TorchSharp.torch;

#pragma warning disable IDE0130 // The namespace is that of the package.

namespace Microsoft.ML.GenAI.Mistral;

/// <summary>Loads as GenAI's: by TorchSharp.PyBridge, in a type of its own choice.</summary>
internal sealed class MistralForCausalLM(DecoderSpec spec) : MistralLookAlike(spec)
{
    public static MistralForCausalLM FromPretrained(
        string modelFolder, string configName = "config.json", string checkPointName = "model.safetensors.index.json",
        ScalarType torchDtype = ScalarType.BFloat16, string device = "cpu")
    {
        var model = new MistralForCausalLM(DecoderConfig.Parse(File.ReadAllBytes(Path.Combine(modelFolder, configName)), configName).Spec);
        model.to(torchDtype);
        model.load_checkpoint(path: modelFolder, checkpointName: checkPointName, strict: true, useTqdm: false);
        model.to(device);
        return model;
    }
}
