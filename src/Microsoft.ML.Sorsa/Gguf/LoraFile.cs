using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Gguf;

/// <summary>
/// An adapter as a GGUF file that llama.cpp puts over the base's: the update as LoRA's factors over the untouched base, of rank 2r where
/// the adapter started from a part of it. B of queries and keys has its rows where the base's file has them.
/// </summary>
internal static class LoraFile
{
    /// <param name="weights">The adapter.</param>
    /// <param name="config">Its base's.</param>
    /// <param name="path">The file.</param>
    /// <exception cref="NotSupportedException">The update is no product of two factors over the untouched base.</exception>
    public static void Write(AdapterWeights weights, DecoderConfig config, string path)
    {
        if (weights.WhyNoDifference is { } reason)
        {
            throw new NotSupportedException(reason);
        }

        using DisposeScope scope = NewDisposeScope();
        (string Path, Tensor B, Tensor A)[] factors = [.. weights.Tensors.Keys.Select(projection =>
        {
            (Tensor b, Tensor a) = weights.Difference(projection);
            return (projection, b, a);
        })];

        // llama.cpp multiplies by alpha and divides by each matrix's own rank: where that is the same everywhere, both are gone.
        long rank = factors.Max(factor => factor.A.shape[0]);
        var metadata = new GgufMetadata();
        metadata.Add(GgufArchitecture.Key, GgufArchitecture.Of(config));
        metadata.Add(GgufArchitecture.TypeKey, "adapter");
        metadata.Add(GgufArchitecture.NameKey, Path.GetFileNameWithoutExtension(path));
        metadata.Add("general.file_type", 0u);
        metadata.Add("adapter.type", "lora");
        metadata.Add("adapter.lora.alpha", (float)rank);
        GgufFile.Write(path, metadata, [.. factors.SelectMany(factor => Of(factor.Path, factor.B, factor.A))]);

        IEnumerable<GgufTensor> Of(string projection, Tensor b, Tensor a)
        {
            string weight = projection + ".weight", name = ModelTensors.NameOf(weight);
            long missing = rank - a.shape[0];
            yield return new GgufTensor($"{name}.lora_a", missing == 0 ? a : cat([a, zeros(missing, a.shape[1])], 0), GgufType.F32);
            yield return new GgufTensor(
                $"{name}.lora_b", missing == 0 ? b : cat([b, zeros(b.shape[0], missing)], 1), GgufType.F32,
                ModelTensors.HeadDimOf(weight, config.Spec));
        }
    }
}
