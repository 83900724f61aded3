using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Models;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Files;

/// <summary>An adapter in the format of Hugging Face PEFT: adapter_config.json and adapter_model.safetensors.</summary>
internal static class PeftFolder
{
    public const string ConfigFile = "adapter_config.json";

    private const string WeightsFile = "adapter_model.safetensors";
    private const string Prefix = "base_model.model.";
    private const string Suffix = ".weight";

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

    /// <summary>Writes the adapter as what it is.</summary>
    /// <exception cref="NotSupportedException">PEFT has no such method.</exception>
    public static void Write(AdapterWeights weights, string folder)
    {
        PeftForm form = weights.Method.Peft ?? throw new NotSupportedException(
            $"PEFT's format has no method '{weights.Method.Name}'. "
            + "Choose AdapterFormat.LoraDifference, which every LoRA consumer reads, or AdapterFormat.Sorsa.");
        double alpha = weights.Scale * (form.UseRsLora ? Math.Sqrt(weights.Rank) : weights.Rank);
        IEnumerable<KeyValuePair<string, Tensor>> tensors =
            from named in weights.Tensors
            from known in weights.Method.Tensors.OrderBy(known => known.Name, StringComparer.Ordinal)
            where known.PeftName is not null
            select KeyValuePair.Create($"{Prefix}{named.Key}.{known.PeftName}", named.Value[known.Name]);
        Write(folder, weights.TargetModules, weights.Rank, alpha, form, [.. tensors]);
    }

    /// <summary>Writes the update as an ordinary LoRA adapter over the untouched base, of rank 2r for SORSA and PiSSA.</summary>
    /// <exception cref="NotSupportedException">The update is no product of two factors.</exception>
    public static void WriteDifference(AdapterWeights weights, string folder)
    {
        string? reason = weights.IsQuantized
            ? "The adapter was trained beside a quantised base; over the untouched one it is another model. "
                + "Choose AdapterFormat.Sorsa, or SaveHuggingFace for the merged model."
            : weights.Method.NoLoraDifference;
        if (reason is not null)
        {
            throw new NotSupportedException(reason);
        }

        using var scope = NewDisposeScope();
        var tensors = new List<KeyValuePair<string, Tensor>>();
        foreach (string path in weights.Tensors.Keys)
        {
            (Tensor b, Tensor a) = weights.Difference(path);
            tensors.Add(KeyValuePair.Create($"{Prefix}{path}.{AdapterTensor.LoraA.PeftName}", a));
            tensors.Add(KeyValuePair.Create($"{Prefix}{path}.{AdapterTensor.LoraB.PeftName}", b));
        }

        int rank = (int)tensors[0].Value.shape[0];
        Write(folder, weights.TargetModules, rank, rank, new PeftForm(), tensors);
    }

    /// <exception cref="InvalidDataException">A file is corrupt.</exception>
    /// <exception cref="NotSupportedException">
    /// Another method than LoRA, rsLoRA, DoRA and PiSSA, or options that are not supported; all of them are listed.
    /// </exception>
    public static AdapterWeights Read(string folder)
    {
        string path = Path.Combine(folder, ConfigFile);
        JsonReader config = JsonReader.Read(path);
        string kind = config.TextOf("peft_type");
        string? start = config.Find("init_lora_weights")?.Raw;
        bool dora = config.FlagOf("use_dora"), rsLora = config.FlagOf("use_rslora");
        PeftForm[] forms = [.. MethodCatalog.Saved.Select(method => method.Peft).OfType<PeftForm>()];
        string? special = forms.Select(form => form.InitLoraWeights).OfType<string>()
            .FirstOrDefault(name => start?.StartsWith($"\"{name}", StringComparison.Ordinal) ?? false);

        // rsLoRA's scale goes with every method; only where nothing else tells them apart, it is one of its own.
        MethodDescriptor? method = MethodCatalog.Saved
            .Where(method => method.Peft is { } form && form.UseDora == dora && form.InitLoraWeights == special)
            .OrderByDescending(method => method.Peft!.UseRsLora == rsLora).FirstOrDefault();
        string[] faults =
        [
            .. kind == "LORA" ? Array.Empty<string>() : [$"peft_type '{kind}'"],
            .. config.TextOf("bias", "none") is var bias and not "none" ? [$"bias '{bias}'"] : Array.Empty<string>(),
            .. special is not null || s_plainStarts.Contains(start) ? Array.Empty<string>() : [$"init_lora_weights {start}"],
            .. method is null ? [$"init_lora_weights {special} with use_dora"] : Array.Empty<string>(),
            .. s_unsupported.Where(config.IsSet).Select(key => $"{key} {config[key].Raw}"),
        ];
        if (faults.Length > 0 || method is null)
        {
            throw new NotSupportedException(
                $"'{path}' asks for what is not supported: {string.Join("; ", faults)}. "
                + "LoRA, rsLoRA, DoRA and PiSSA without these are read; merge others into their base with PEFT first.");
        }

        int rank = config.Positive("r");
        double alpha = config.NumberOf("lora_alpha");
        return new AdapterWeights(
            method, alpha / (rsLora ? Math.Sqrt(rank) : rank), IsQuantized: false, BaseFingerprint: null,
            AdapterFolder.ReadTensors(Path.Combine(folder, WeightsFile), BareName));
    }

    /// <summary>A name is PREFIX.PROJECTION.lora_A.weight, or without .weight.</summary>
    private static string BareName(string name)
    {
        string bare = name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..] : name;
        return bare.EndsWith(Suffix, StringComparison.Ordinal) ? bare[..^Suffix.Length] : bare;
    }

    private static void Write(
        string folder, IReadOnlyList<string> targetModules, int rank, double alpha, PeftForm form,
        IReadOnlyCollection<KeyValuePair<string, Tensor>> tensors)
    {
        var config = new
        {
            base_model_name_or_path = (string?)null,
            bias = "none",
            fan_in_fan_out = false,
            inference_mode = true,
            init_lora_weights = form.InitLoraWeights ?? (object)true,
            lora_alpha = alpha,
            lora_dropout = 0.0,
            peft_type = "LORA",
            r = rank,
            target_modules = targetModules,
            task_type = "CAUSAL_LM",
            use_dora = form.UseDora,
            use_rslora = form.UseRsLora,
        };
        AdapterFolder.Write(folder, ConfigFile, config, WeightsFile, tensors);
    }
}
