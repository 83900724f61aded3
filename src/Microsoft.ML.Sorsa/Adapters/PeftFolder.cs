using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Models;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>An adapter in the format of Hugging Face PEFT: adapter_config.json and adapter_model.safetensors.</summary>
internal static class PeftFolder
{
    public const string ConfigFile = "adapter_config.json";

    private const string WeightsFile = "adapter_model.safetensors";
    private const string Prefix = "base_model.model.";
    private const string Suffix = ".weight";
    private const string Magnitude = "lora_magnitude_vector";

    /// <summary>Options that change what is computed and that are not supported, where they are anything but absent, false or empty.</summary>
    private static readonly string[] s_unsupported =
    [
        "alora_invocation_tokens", "alpha_pattern", "arrow_config", "corda_config", "fan_in_fan_out", "kasa_config", "layer_replication", "loftq_config", "lora_bias", "lora_ga_config",
        "modules_to_save", "monteclora_config", "rank_pattern", "target_parameters", "trainable_token_indices", "use_bdlora", "use_qalora", "velora_config",
    ];

    /// <summary>Starts that leave the base as it is. PiSSA's does not, and is known; the others that do not (olora, corda, loftq, ...) are refused.</summary>
    private static readonly string?[] s_plainStarts = [null, "true", "false", "\"gaussian\"", "\"eva\"", "\"orthogonal\""];

    /// <summary>Writes the adapter as what it is.</summary>
    /// <exception cref="NotSupportedException">PEFT has no such method.</exception>
    public static void Write(AdapterWeights weights, string folder)
    {
        (double alpha, bool rsLora) = weights.Method switch
        {
            AdapterParts.RsLora => (weights.Scale * Math.Sqrt(weights.Rank), true),
            AdapterParts.Lora or AdapterParts.Dora or AdapterParts.Pissa => (weights.Scale * weights.Rank, false),
            _ => throw new NotSupportedException($"PEFT's format has no method '{weights.Method}'. Choose AdapterFormat.LoraDifference, which every LoRA consumer reads, or AdapterFormat.Sorsa."),
        };
        object start = weights.Method == AdapterParts.Pissa ? AdapterParts.Pissa : true;
        IEnumerable<KeyValuePair<string, Tensor>> tensors =
            from named in weights.Tensors
            from part in named.Value.OrderBy(part => part.Key, StringComparer.Ordinal)
            where part.Key is "lora_A" or "lora_B" or Magnitude
            select KeyValuePair.Create($"{Prefix}{named.Key}.{part.Key}{(part.Key == Magnitude ? "" : Suffix)}", part.Value);
        Write(folder, weights, weights.Rank, alpha, rsLora, weights.Method == AdapterParts.Dora, start, [.. tensors]);
    }

    /// <summary>Writes the update as an ordinary LoRA adapter over the untouched base, of rank 2r for SORSA and PiSSA.</summary>
    /// <exception cref="NotSupportedException">The update is no product of two factors.</exception>
    public static void WriteDifference(AdapterWeights weights, string folder)
    {
        if (weights.Method == AdapterParts.Dora || weights.IsQuantized)
        {
            throw new NotSupportedException(weights.IsQuantized
                ? "The adapter was trained beside a quantised base; over the untouched one it is another model. Choose AdapterFormat.Sorsa, or SaveHuggingFace for the merged model."
                : "DoRA scales whole rows, which no LoRA adapter does. Choose AdapterFormat.Peft, which has DoRA.");
        }

        using var scope = NewDisposeScope();
        var tensors = new List<KeyValuePair<string, Tensor>>();
        foreach (string path in weights.Tensors.Keys)
        {
            (Tensor b, Tensor a) = weights.Difference(path);
            tensors.Add(KeyValuePair.Create($"{Prefix}{path}.lora_A{Suffix}", a));
            tensors.Add(KeyValuePair.Create($"{Prefix}{path}.lora_B{Suffix}", b));
        }

        int rank = (int)tensors[0].Value.shape[0];
        Write(folder, weights, rank, rank, rsLora: false, dora: false, start: true, tensors);
    }

    /// <exception cref="InvalidDataException">A file is corrupt.</exception>
    /// <exception cref="NotSupportedException">Another method than LoRA, rsLoRA, DoRA and PiSSA, or options that are not supported; all of them are listed.</exception>
    public static AdapterWeights Read(string folder)
    {
        string path = Path.Combine(folder, ConfigFile);
        using ConfigReader config = new(File.ReadAllBytes(path), path);
        string kind = config.Text("peft_type");
        string? start = config.Raw("init_lora_weights");
        bool pissa = start?.StartsWith("\"pissa", StringComparison.Ordinal) ?? false;
        string[] faults =
        [
            .. kind == "LORA" ? Array.Empty<string>() : [$"peft_type '{kind}'"],
            .. config.Text("bias", "none") is var bias and not "none" ? [$"bias '{bias}'"] : Array.Empty<string>(),
            .. pissa || s_plainStarts.Contains(start) ? Array.Empty<string>() : [$"init_lora_weights {start}"],
            .. pissa && config.Flag("use_dora") ? ["init_lora_weights pissa with use_dora"] : Array.Empty<string>(),
            .. s_unsupported.Where(config.IsSet).Select(key => $"{key} {config.Raw(key)}"),
        ];
        if (faults.Length > 0)
        {
            throw new NotSupportedException($"'{path}' asks for what is not supported: {string.Join("; ", faults)}. LoRA, rsLoRA, DoRA and PiSSA without these are read; merge others into their base with PEFT first.");
        }

        int rank = config.Positive("r");
        double alpha = config.Number("lora_alpha");
        bool dora = config.Flag("use_dora"), rsLora = config.Flag("use_rslora");
        string method = dora ? AdapterParts.Dora : pissa ? AdapterParts.Pissa : rsLora ? AdapterParts.RsLora : AdapterParts.Lora;
        return new AdapterWeights(method, alpha / (rsLora ? Math.Sqrt(rank) : rank), false, null, AdapterFolder.Take(Path.Combine(folder, WeightsFile), Split));
    }

    /// <summary>A name is PREFIX.PROJECTION.lora_A.weight, or without .weight.</summary>
    private static (string Path, string Part) Split(string name)
    {
        string bare = name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..] : name;
        bare = bare.EndsWith(Suffix, StringComparison.Ordinal) ? bare[..^Suffix.Length] : bare;
        return bare.LastIndexOf('.') is var dot and >= 0 ? (bare[..dot], bare[(dot + 1)..]) : (bare, "");
    }

    private static void Write(
        string folder, AdapterWeights weights, int rank, double alpha, bool rsLora, bool dora, object start, IReadOnlyCollection<KeyValuePair<string, Tensor>> tensors)
    {
        var config = new
        {
            base_model_name_or_path = (string?)null,
            bias = "none",
            fan_in_fan_out = false,
            inference_mode = true,
            init_lora_weights = start,
            lora_alpha = alpha,
            lora_dropout = 0.0,
            peft_type = "LORA",
            r = rank,
            target_modules = weights.TargetModules,
            task_type = "CAUSAL_LM",
            use_dora = dora,
            use_rslora = rsLora,
        };
        AdapterFolder.Write(folder, ConfigFile, config, WeightsFile, tensors);
    }
}
