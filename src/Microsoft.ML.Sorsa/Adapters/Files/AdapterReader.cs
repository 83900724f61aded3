using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Adapters.Files;

/// <summary>Reads an adapter's folder in whichever format it is, and says of others what they are.</summary>
internal static class AdapterReader
{
    private const string Hint = "Name a folder that SaveAdapter or PEFT wrote";

    private static readonly string[] s_configs = [AdapterFolder.ConfigFile, PeftConfig.FileName];

    /// <exception cref="IOException">The folder, or one of its files, is not there; the message says what is.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt or was altered.</exception>
    /// <exception cref="NotSupportedException">Another method, or options or tensors of PEFT that are not supported.</exception>
    public static AdapterWeights Read(string folder)
    {
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException($"The adapter's folder '{folder}' {Missing(folder)}");
        }

        return s_configs.Where(name => RegularFile.Exists(folder, name)).ToArray() switch
        {
            [AdapterFolder.ConfigFile] => AdapterFolder.Read(folder),
            [PeftConfig.FileName] => PeftFolder.Read(folder),
            [] => throw new FileNotFoundException(
                $"The folder '{folder}' has neither {AdapterFolder.ConfigFile} nor {PeftConfig.FileName}. {Other(folder)}"),
            _ => throw new InvalidDataException(
                $"The folder '{folder}' has both {AdapterFolder.ConfigFile} and {PeftConfig.FileName}, which are two adapters. "
                + "Keep one of them in it."),
        };
    }

    private static string Missing(string folder) => File.Exists(folder)
        ? $"is a file. Name the folder that it is in, with {AdapterFolder.ConfigFile} or {PeftConfig.FileName} beside it."
        : $"does not exist. {ModelFolder.Download(folder) ?? $"{Hint}."}";

    /// <summary>What a folder without either file is, and what to do.</summary>
    private static string Other(string folder)
    {
        // A trainer's checkpoints, adapters by their names, or a snapshot in Hugging Face's cache.
        var within = new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 2 };
        string[] inner = [.. s_configs.SelectMany(name => Directory.EnumerateFiles(folder, name, within))
            .Select(path => Path.GetRelativePath(folder, Path.GetDirectoryName(path)!)).Distinct().Order(StringComparer.Ordinal)];
        bool Has(params string[] names) => names.Any(name => File.Exists(Path.Combine(folder, name)));
        return inner.Length > 0
            ? $"Adapters are in folders within it: name one of {NameList.Quoted(inner)}."
            : Has(PeftFolder.WeightsFile, PeftFolder.PickledFile)
            ? $"It holds an adapter's tensors, and {PeftConfig.FileName}, which says rank and scale, is missing: copy it too."
            : Has(AdapterFolder.WeightsFile)
            ? $"It holds an adapter's tensors, and {AdapterFolder.ConfigFile} is missing: copy it too."
            : Has(Checkpoint.SingleFile, Checkpoint.IndexFile, "pytorch_model.bin", "pytorch_model.bin.index.json")
            ? "It holds a whole model, not an adapter: open it with mlContext.Sorsa().LoadModel."
            : Has("pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin")
            ? "It holds an adapter of diffusers, of a model that makes images."
            : Directory.EnumerateFiles(folder, "*.gguf").Any()
            ? $"It holds GGUF files, llama.cpp's. {Hint}: the one that the GGUF file was made from."
            : $"{Hint}.";
    }
}
