using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Adapters.Files;

/// <summary>adapter_config.json: what PEFT says of an adapter beside its tensors.</summary>
/// <param name="Method">LoRA, rsLoRA, DoRA or PiSSA.</param>
/// <param name="Rank">r.</param>
/// <param name="Scale">c.</param>
/// <param name="Targets">Whether a projection of a base is adapted; null where the file does not say.</param>
internal sealed record PeftConfig(MethodDescriptor Method, int Rank, double Scale, Func<string, bool>? Targets)
{
    public const string FileName = "adapter_config.json";

    /// <summary>
    /// Options that change what is computed and that are not supported, where they are anything but absent, false or empty.
    /// </summary>
    private static readonly string[] s_unsupported =
    [
        "alora_invocation_tokens", "alpha_pattern", "arrow_config", "corda_config", "fan_in_fan_out", "kasa_config", "layer_replication",
        "loftq_config", "lora_bias", "lora_ga_config", "modules_to_save", "monteclora_config", "rank_pattern", "target_parameters",
        "trainable_token_indices", "use_bdlora", "use_qalora", "velora_config",
    ];

    /// <summary>
    /// Starts that leave the base as it is. Those that do not (olora, corda, loftq, ...) are refused, but for a known method's.
    /// </summary>
    private static readonly string?[] s_plainStarts = [null, "true", "false", "\"gaussian\"", "\"eva\"", "\"orthogonal\""];

    /// <exception cref="InvalidDataException">The file is corrupt, or no configuration of PEFT's.</exception>
    /// <exception cref="NotSupportedException">
    /// Another method than LoRA, rsLoRA, DoRA and PiSSA, or options that are not supported; all of them are listed.
    /// </exception>
    public static PeftConfig Read(string path)
    {
        JsonReader config = JsonReader.Read(path);
        if (config.Has("lora_parameters") && !config.Has("peft_type"))
        {
            throw new NotSupportedException(
                $"'{path}' is mlx-lm's, not PEFT's. Fuse the adapter into its base (mlx_lm.fuse) and open that with LoadModel.");
        }

        string kind = config.TextOf("peft_type");
        string? start = config.Find("init_lora_weights")?.Raw;
        bool dora = config.FlagOf("use_dora"), rsLora = config.FlagOf("use_rslora");
        PeftForm[] forms = [.. MethodCatalog.Saved.Select(method => method.Peft).OfType<PeftForm>()];
        string? special = forms.Select(form => form.InitLoraWeights).OfType<string>()
            .FirstOrDefault(name => start == $"\"{name}\"");

        // rsLoRA's scale goes with every method; only where nothing else tells them apart, it is one of its own.
        MethodDescriptor? method = MethodCatalog.Saved
            .Where(method => method.Peft is { } form && form.UseDora == dora && form.InitLoraWeights == special)
            .OrderByDescending(method => method.Peft!.UseRsLora == rsLora).FirstOrDefault();
        string[] faults =
        [
            .. kind == "LORA" ? Array.Empty<string>() : [$"peft_type '{kind}'"],
            .. config.TextOf("bias", "none") is var bias and not "none" ? [$"bias '{bias}'"] : Array.Empty<string>(),
            .. special is not null || s_plainStarts.Contains(start) ? Array.Empty<string>() : [$"init_lora_weights {start}{Why(start!)}"],
            .. method is null ? [$"init_lora_weights {special} with use_dora"] : Array.Empty<string>(),
            .. s_unsupported.Where(config.IsSet).Select(key => $"{key} {config[key].Raw}"),
        ];
        if (faults.Length > 0 || method is null)
        {
            throw new NotSupportedException(
                $"'{path}' asks for what is not supported: {NameList.Join(faults, "; ")}. "
                + "LoRA, rsLoRA, DoRA and PiSSA without these are read; merge others into their base with PEFT first.");
        }

        int rank = config.Positive("r");
        double alpha = config.NumberOf("lora_alpha");
        return new PeftConfig(method, rank, alpha / (rsLora ? Math.Sqrt(rank) : rank), PeftTargets.Of(config));

        // Of the base it takes out a part that is drawn: neither PEFT nor anybody finds the same one again.
        static string Why(string start) => !start.StartsWith("\"pissa_niter", StringComparison.Ordinal) ? ""
            : " (a start that is drawn anew at every load; save_pretrained with path_initial_model_for_weight_conversion gives a LoRA)";
    }
}
