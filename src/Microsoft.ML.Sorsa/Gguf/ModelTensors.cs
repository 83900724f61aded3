using Microsoft.ML.Sorsa.Models;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Gguf;

/// <summary>The weights of a model under the names and in the types that llama.cpp reads.</summary>
internal static class ModelTensors
{
    /// <summary>A matrix that the embedding does as well is not among the weights, and llama.cpp takes the embedding then.</summary>
    private static readonly Dictionary<string, string> s_names = new(StringComparer.Ordinal)
    {
        ["model.embed_tokens"] = "token_embd",
        ["model.norm"] = "output_norm",
        ["lm_head"] = "output",
    };

    private static readonly Dictionary<string, string> s_namesInLayer = new(StringComparer.Ordinal)
    {
        ["input_layernorm"] = "attn_norm",
        ["self_attn.q_proj"] = "attn_q",
        ["self_attn.k_proj"] = "attn_k",
        ["self_attn.v_proj"] = "attn_v",
        ["self_attn.o_proj"] = "attn_output",
        ["post_attention_layernorm"] = "ffn_norm",
        ["mlp.gate_proj"] = "ffn_gate",
        ["mlp.up_proj"] = "ffn_up",
        ["mlp.down_proj"] = "ffn_down",
    };

    /// <param name="network">The model; its weights are not copied.</param>
    /// <param name="type">What its matrices become.</param>
    /// <returns>With what is computed beside the weights, in the dispose scope that is open.</returns>
    public static IReadOnlyList<GgufTensor> Of(CausalLM network, GgufType type)
    {
        List<GgufTensor> tensors = [.. network.NamedWeights.Select(weight => new GgufTensor(
            NameOf(weight.Key), weight.Value, GgufTensor.TypeOf(weight.Value.shape, type), HeadDimOf(weight.Key, network.Spec)))];
        if (network.Spec.Rope is { Type: RopeType.Llama3 } rope)
        {
            tensors.Add(new GgufTensor("rope_freqs.weight", Divisors(rope), GgufType.F32));
        }

        return tensors;
    }

    /// <summary>The name of a weight or bias, by that in a checkpoint.</summary>
    public static string NameOf(string name)
    {
        int dot = name.LastIndexOf('.');
        (string path, string kind) = (name[..dot], name[dot..]);
        string? known = Decoder.LayerOf(name) is int layer
            ? s_namesInLayer.GetValueOrDefault(string.Join('.', path.Split('.').Skip(3))) is { } part
                ? FormattableString.Invariant($"blk.{layer}.{part}")
                : null
            : s_names.GetValueOrDefault(path);
        return known is not null ? known + kind : throw new NotSupportedException(
            $"llama.cpp has no name for the weight '{name}'. Save the model with SaveHuggingFace.");
    }

    /// <summary>d where the rows of a weight or bias are turned by positions; null for others.</summary>
    public static int? HeadDimOf(string name, DecoderSpec spec) =>
        name.Contains(".q_proj.", StringComparison.Ordinal) || name.Contains(".k_proj.", StringComparison.Ordinal)
            ? spec.Attention.HeadDim
            : null;

    /// <summary>What llama.cpp divides the plain frequencies by, for each pair.</summary>
    private static Tensor Divisors(RopeConfig rope)
    {
        double[] plain = new RotaryEmbedding(rope with { Type = RopeType.Default }).BaseFrequencies();
        return tensor(plain.Zip(new RotaryEmbedding(rope).BaseFrequencies(), (one, other) => (float)(one / other)).ToArray());
    }
}
