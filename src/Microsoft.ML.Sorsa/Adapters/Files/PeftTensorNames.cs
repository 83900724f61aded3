using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Adapters.Files;

/// <summary>
/// The names in PEFT's adapter_model.safetensors: base_model.model.PROJECTION.lora_A.weight. Read as the same are those of the state
/// of a model that was not saved by PEFT itself: with the adapter's own name in them (lora_A.default.weight), with the prefix twice, with
/// what torch.compile, DDP, FSDP and checkpointing put between.
/// </summary>
internal static class PeftTensorNames
{
    public const string Prefix = "base_model.model.";

    private const string Lora = "lora_", Weight = "weight";

    private static readonly string[] s_wrappers = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

    /// <summary>The projection and the tensor of each name.</summary>
    /// <param name="names">As they stand in the file.</param>
    /// <param name="path">The file.</param>
    /// <exception cref="NotSupportedException">
    /// Tensors that are no LoRA of a projection; or several adapters in one file. It says what the file is and what to do.
    /// </exception>
    public static IEnumerable<(string Name, string Projection, string Tensor)> Place(IEnumerable<string> names, string path)
    {
        var places = new List<(string Name, string Projection, string Tensor)>();
        var foreign = new List<string>();
        var adapters = new SortedSet<string>(StringComparer.Ordinal);
        foreach (string name in names)
        {
            string[] bare = Bare(name);
            int at = Array.FindIndex(bare, segment => segment.StartsWith(Lora, StringComparison.Ordinal));
            string[] rest = at < 0 ? [] : bare[(at + 1)..];
            if (rest is [.., Weight])
            {
                rest = rest[..^1];
            }

            if (at <= 0 || rest.Length > 1 || rest is ["bias"] || bare[at].StartsWith("lora_embedding", StringComparison.Ordinal)
                || bare[at] is "lora_down" or "lora_up" or "lora_linear_layer")
            {
                foreign.Add(name);
                continue;
            }

            adapters.UnionWith(rest);
            places.Add((name, string.Join('.', bare[..at]), bare[at]));
        }

        if (foreign.Count > 0)
        {
            throw new NotSupportedException($"'{path}' holds what is no LoRA of a projection: {NameList.Join(foreign)}. {Remedy(foreign)}");
        }

        return adapters.Count <= 1 ? places : throw new NotSupportedException(
            $"'{path}' holds {adapters.Count} adapters: {NameList.Quoted(adapters)}. Save one of them: load it with PEFT, and call "
            + "save_pretrained(folder, selected_adapters=[name]).");
    }

    /// <summary>A name's segments without what wraps the base.</summary>
    private static string[] Bare(string name)
    {
        string[] segments = [.. name.Split('.').Where(segment => !s_wrappers.Contains(segment))];
        while (segments is ["base_model", "model", ..] or ["module", ..])
        {
            segments = segments[(segments[0] == "module" ? 1 : 2)..];
        }

        return segments;
    }

    private static string Remedy(IReadOnlyList<string> names)
    {
        bool Any(params string[] parts) => names.Any(name => parts.Any(part => name.Contains(part, StringComparison.Ordinal)));
        return Any("lora_unet", "lora_te", "lora_down", "lora_up", "lora_linear_layer", "unet.", "text_encoder", "transformer_blocks")
            ? "These are names of kohya and diffusers, of models that make images; language models' LoRA as PEFT saves it is read."
            : Any("embed_tokens", "lm_head", "wte", "modules_to_save", "token_adapter", "lora_embedding")
            ? "Embeddings or a head were trained or saved beside it (save_embedding_layers, modules_to_save, embed_tokens among the "
                + "targets, a tokenizer with new tokens). Load it with PEFT, call merge_and_unload, then save_pretrained, and open the "
                + "whole model with LoadModel. Where embeddings were saved and not trained: "
                + "save_pretrained(folder, save_embedding_layers=False)."
            : Any("base_layer", "original_module")
            ? "The base's own weights are in it: this is the state of a whole model. Load it with PEFT and call save_pretrained, which "
                + "writes the adapter alone."
            : "LoRA, rsLoRA, DoRA and PiSSA without biases are read; merge others into their base with PEFT first (merge_and_unload).";
    }
}
