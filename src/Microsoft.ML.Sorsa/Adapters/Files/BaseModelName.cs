using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Adapters.Files;

/// <summary>What PEFT's base_model_name_or_path says of a model folder.</summary>
internal static class BaseModelName
{
    private const string CachePrefix = "models--";

    /// <summary>
    /// The id on Hugging Face where the folder is one of its cache (models--org--name/snapshots/...), or where config.json's
    /// _name_or_path is org/name and the folder is called name; else the folder's name. Another _name_or_path is what a fine-tuned model
    /// itself was made from: another base. A whole path would be of this machine alone.
    /// </summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="configJson">Its config.json.</param>
    public static string Of(string folder, byte[] configJson)
    {
        string path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)), name = Path.GetFileName(path);
        string[] above = path.Split(Path.DirectorySeparatorChar);
        if (above is [.., var cached, "snapshots", _] && cached.StartsWith(CachePrefix, StringComparison.Ordinal))
        {
            return cached[CachePrefix.Length..].Replace("--", "/", StringComparison.Ordinal);
        }

        JsonReader? stated = JsonReader.Parse(ModelFolder.ConfigFile, configJson).Find("_name_or_path");
        return stated is { IsText: true } && stated.Text.Split('/') is [{ Length: > 0 } owner, var last]
            && owner is not ("." or ".." or "~") && string.Equals(last, name, StringComparison.OrdinalIgnoreCase)
            ? stated.Text
            : name;
    }
}
