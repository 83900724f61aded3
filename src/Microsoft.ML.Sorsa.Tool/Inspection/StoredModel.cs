using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Microsoft.ML.Sorsa.Tool.Inspection;

/// <summary>Files with weights, and what the small files beside them say: models, adapters, checkpoints, zips.</summary>
internal static class StoredModel
{
    private const string Config = "config.json", Weights = "model.safetensors", Training = "training.json";
    private const string OwnAdapter = "adapter.json", PeftAdapter = "adapter_config.json";

    private static readonly string[] s_modelKeys =
    [
        "model_type", "architectures", "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
        "num_key_value_heads", "head_dim", "vocab_size", "max_position_embeddings", "rope_theta", "tie_word_embeddings",
    ];

    private static readonly string[] s_adapterKeys =
    [
        "method", "peft_type", "rank", "r", "scale", "lora_alpha", "use_dora", "use_rslora", "quantized", "target_modules",
        "base_model_name_or_path", "base_fingerprint",
    ];

    private static readonly JsonDocumentOptions s_unambiguous = new() { AllowDuplicateProperties = false };

    public static bool IsCheckpoint(string path) => File.Exists(Path.Combine(path, Training));

    public static bool IsAdapter(string path) => Has(path, OwnAdapter) || Has(path, PeftAdapter);

    public static bool IsModel(string path) => Has(path, Config);

    /// <summary>The newest of a folder of checkpoints; null: it holds none.</summary>
    public static IReadOnlyList<string> Checkpoints(string path) =>
        !Directory.Exists(path) ? [] : [.. Directory.GetDirectories(path, "checkpoint-*").Where(IsCheckpoint).OrderBy(StepOf)];

    public static JsonObject Model(string folder)
    {
        string[] files = [.. Directory.EnumerateFiles(folder, "*.safetensors").Order(StringComparer.Ordinal)];
        if (files.Length == 0)
        {
            throw new CommandException(ExitCode.Input,
                $"The folder '{folder}' has {Config} and no *.safetensors. Fetch the weights, too, in that format.");
        }

        return With(Read(Path.Combine(folder, Config), s_modelKeys), "model", StoredTensors.Of(files));
    }

    public static JsonObject Adapter(string folder)
    {
        (string config, string weights) = Has(folder, OwnAdapter)
            ? (OwnAdapter, "adapter.safetensors")
            : (PeftAdapter, "adapter_model.safetensors");
        return With(
            Read(Path.Combine(folder, config), s_adapterKeys), "adapter", StoredTensors.Of(Existing(folder, weights)));
    }

    public static JsonObject Checkpoint(string folder)
    {
        JsonObject json = With(
            Read(Path.Combine(folder, Training), ["step", "run", "machine"]), "checkpoint",
            StoredTensors.Of(Directory.EnumerateFiles(folder, "*.safetensors").Order(StringComparer.Ordinal)));
        if (IsAdapter(folder))
        {
            json["adapter"] = Read(Path.Combine(folder, OwnAdapter), s_adapterKeys);
        }

        return json;
    }

    /// <summary>A file of tensors alone.</summary>
    public static JsonObject Safetensors(string file) => With([], "safetensors", StoredTensors.Of(file));

    /// <summary>ML.NET's model zip: the entries of a Hugging Face folder are in it, whatever folder of the zip they are in.</summary>
    public static JsonObject Zip(string file)
    {
        try
        {
            using ZipArchive zip = ZipFile.OpenRead(file);
            ZipArchiveEntry Entry(string name) =>
                zip.Entries.FirstOrDefault(entry => Path.GetFileName(entry.FullName.Replace('\\', '/')) == name)
                ?? throw new CommandException(ExitCode.Input,
                    $"'{file}' is a zip without a model of this library: there is no {name} in it. Name one that was exported as zip.");
            using Stream config = Entry(Config).Open();
            JsonObject chosen = Read(config, $"{Config} in '{file}'", s_modelKeys);
            var tensors = new StoredTensors();
            using Stream weights = Entry(Weights).Open();
            tensors.Add(weights, file);
            return With(chosen, "zip", tensors);
        }
        catch (InvalidDataException e)
        {
            throw new CommandException(ExitCode.Input, $"'{file}' is no zip, or damaged: {e.Message} Write or copy it again.", e);
        }
    }

    private static bool Has(string folder, string name) => File.Exists(Path.Combine(folder, name));

    private static string Existing(string folder, string name) => Has(folder, name) ? Path.Combine(folder, name)
        : throw new CommandException(ExitCode.Input, $"The adapter in '{folder}' has no {name}. Copy it, too.");

    private static int StepOf(string checkpoint) =>
        int.TryParse(Path.GetFileName(checkpoint).AsSpan("checkpoint-".Length), out int step) ? step : 0;

    private static JsonObject With(JsonObject json, string kind, StoredTensors tensors)
    {
        var result = new JsonObject { ["kind"] = kind };
        foreach ((string name, JsonNode? value) in json)
        {
            result[name] = value?.DeepClone();
        }

        result["weights"] = tensors.ToJson();
        result["summary"] = tensors.ToString();
        return result;
    }

    private static JsonObject Read(string path, IEnumerable<string> keys)
    {
        using FileStream stream = File.OpenRead(path);
        return Read(stream, $"'{path}'", keys);
    }

    /// <param name="json">The file's content.</param>
    /// <param name="name">The file, as an error calls it.</param>
    /// <param name="keys">What is taken over.</param>
    private static JsonObject Read(Stream json, string name, IEnumerable<string> keys)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            return Chosen(document.RootElement, keys);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new CommandException(ExitCode.Input, $"{name} is no JSON object: {e.Message} Fetch or write it again.", e);
        }
    }

    private static JsonObject Chosen(JsonElement json, IEnumerable<string> keys) => new(
        keys.Where(key => json.TryGetProperty(key, out _))
            .Select(key => KeyValuePair.Create(key, JsonNode.Parse(json.GetProperty(key).GetRawText(), documentOptions: s_unambiguous))));
}
