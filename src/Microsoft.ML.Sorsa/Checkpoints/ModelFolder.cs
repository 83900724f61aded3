using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Checkpoints;

/// <summary>
/// A folder in the Hugging Face layout, and what people name instead: an id of the Hub, its cache, a single file, another program's format.
/// Each gets an error of its own, which says what to name or to do.
/// </summary>
internal static partial class ModelFolder
{
    /// <summary>The model's configuration.</summary>
    public const string ConfigFile = "config.json";

    private const string Layout = $"{ConfigFile}, {Checkpoint.SingleFile}, tokenizer.json";

    /// <summary>Folders that are looked into for models: a cache has hub/models--ORG--NAME/snapshots/COMMIT.</summary>
    private const int SearchDepth = 3;

    private static readonly string[] s_convertible =
        ["pytorch_model*.bin*", "*.pth", "*.pt", "*.ckpt", "tf_model.h5", "flax_model.msgpack", "*.onnx", "*.npz"];

    /// <summary>Refuses what is no folder.</summary>
    /// <exception cref="DirectoryNotFoundException">It is not there, or a file.</exception>
    public static void Verify(string folder)
    {
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException(
                File.Exists(folder) ? AsFile(folder)
                : $"The model folder '{folder}' does not exist. "
                    + (Download(folder) ?? $"Name a folder in the Hugging Face layout ({Layout})."));
        }
    }

    /// <summary>The path of its config.json.</summary>
    /// <exception cref="DirectoryNotFoundException">The folder is not there.</exception>
    /// <exception cref="FileNotFoundException">It has none; says what it holds instead.</exception>
    public static string Config(string folder)
    {
        Verify(folder);
        string path = Path.Combine(folder, ConfigFile);
        return RegularFile.Exists(folder, ConfigFile) ? path : throw new FileNotFoundException(
            $"The model folder '{folder}' has no {ConfigFile}. {Models(folder) ?? Others(folder)}", path);
    }

    /// <summary>The error of a folder without weights that can be read.</summary>
    public static FileNotFoundException WithoutWeights(string folder) => new(
        $"The model folder '{folder}' has neither {Checkpoint.SingleFile} nor {Checkpoint.IndexFile}. {Others(folder)}",
        Path.Combine(folder, Checkpoint.SingleFile));

    /// <summary>How to fetch what is named by its id, as a sentence; null where a path that is not there is none.</summary>
    public static string? Download(string folder) => HubId(folder) is not { } id
        ? null
        : $"If '{id}' is an id on Hugging Face: download it with 'hf download {id} --local-dir {id[(id.IndexOf('/') + 1)..]}' (or "
            + $"'git clone https://huggingface.co/{id}', with Git LFS installed), and name that folder.";

    private static string AsFile(string path)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? path;
        return Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".gguf" => $"'{path}' is a GGUF file, for llama.cpp and its kin. Name the folder of the model that it was made from "
                + $"({Layout}).",
            ".safetensors" or ".json" => $"'{path}' is one file of a model. Name the folder that it is in: '{folder}'.",
            ".zip" => $"'{path}' is a file. A model zip is loaded with mlContext.Sorsa().LoadZip; unpack any other, and name the folder.",
            _ => $"'{path}' is a file. Name a folder in the Hugging Face layout ({Layout}).",
        };
    }

    /// <summary>ORG/NAME, where a path that is not there may be meant so, or is an address of the Hub.</summary>
    private static string? HubId(string folder)
    {
        string path = folder.Replace('\\', '/');
        if (HubAddress().Match(path) is { Success: true } address)
        {
            return address.Groups[1].Value;
        }

        // The trainer's options hold the whole path, of whatever was named.
        string relative = Path.GetRelativePath(Environment.CurrentDirectory, Path.GetFullPath(folder)).Replace('\\', '/');
        return HubName().IsMatch(relative) && !Directory.Exists(relative[..relative.IndexOf('/')]) ? relative : null;
    }

    /// <summary>The models in the folders below; null where there are none.</summary>
    private static string? Models(string folder)
    {
        var below = new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = SearchDepth, IgnoreInaccessible = true };
        string[] models =
        [
            .. Directory.EnumerateFiles(folder, ConfigFile, below).Take(1000)
                .Select(config => Path.GetDirectoryName(config)!).Order(StringComparer.Ordinal),
        ];
        if (models.Length == 0)
        {
            return null;
        }

        bool isCache = models.Any(model => Path.GetFileName(Path.GetDirectoryName(model)) == "snapshots");
        string what = isCache ? "It is a cache of the Hugging Face Hub: name a snapshot in it" : "Name a folder in it that has one";
        return $"{what}: {NameList.Quoted(models)}.";
    }

    /// <summary>What of other programs is there, and what to do with it.</summary>
    private static string Others(string folder)
    {
        string? Found(params ReadOnlySpan<string> patterns)
        {
            var names = new SortedSet<string>(StringComparer.Ordinal);
            foreach (string pattern in patterns)
            {
                names.UnionWith(Directory.EnumerateFiles(folder, pattern).Take(1000).Select(path => Path.GetFileName(path)));
            }

            return names.Count > 0 ? NameList.Quoted(names) : null;
        }

        return !Directory.EnumerateFileSystemEntries(folder).Any()
                ? $"It is empty. Put a model in the Hugging Face layout there ({Layout}), or name another folder."
            : Found("adapter_config.json", "adapter.json", "adapter_model.*") is { } adapter
                ? $"It holds an adapter ({adapter}): open its base with LoadModel, and put the adapter onto it with LoadAdapter."
            : Found("*.gguf") is { } gguf
                ? $"It holds {gguf}: GGUF is for llama.cpp and its kin. Fetch the model that it was made from, as safetensors."
            : Found("params.json", "consolidated*") is { } original
                ? $"It holds {original}, the layout of Meta's or Mistral's own programs. Fetch the same model in the Hugging Face layout "
                    + $"({Layout})."
            : Found(Checkpoint.SingleFile, Checkpoint.IndexFile) is { } weights
                ? $"It holds {weights}: copy the {ConfigFile}, and the tokenizer's files, that came with these weights there."
            : Found("*.safetensors") is { } shards
                ? $"It holds {shards}. If these are all shards of the model, fetch its {Checkpoint.IndexFile} too; a single file must be "
                    + $"called {Checkpoint.SingleFile}."
            : Found(s_convertible) is { } other
                ? $"It holds {other}, which are not read: many are pickled programs. Save the model as safetensors first, with "
                    + "transformers: AutoModelForCausalLM.from_pretrained(folder).save_pretrained(other)."
            : Directory.Exists(Path.Combine(folder, "snapshots"))
                ? "It is a cache of the Hugging Face Hub whose snapshots hold no model: the download did not end. Start it again with "
                    + "'hf download'."
            : $"Name a folder in the Hugging Face layout ({Layout}).";
    }

    [GeneratedRegex(@"(?:huggingface\.co|hf\.co|hf:|hf-mirror\.com)/+((?!models?/)[\w.-]+/[\w.-]+)")]
    private static partial Regex HubAddress();

    [GeneratedRegex(@"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]
    private static partial Regex HubName();
}
