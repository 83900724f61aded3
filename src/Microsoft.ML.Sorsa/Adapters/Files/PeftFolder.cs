using Microsoft.ML.Sorsa.Files;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Files;

/// <summary>An adapter in the format of Hugging Face PEFT: adapter_config.json and adapter_model.safetensors.</summary>
internal static class PeftFolder
{
    public const string WeightsFile = "adapter_model.safetensors";

    /// <summary>What PEFT wrote before safetensors.</summary>
    public const string PickledFile = "adapter_model.bin";

    /// <summary>Writes the adapter as what it is.</summary>
    /// <exception cref="NotSupportedException">PEFT has no such method, or would start it otherwise.</exception>
    public static void Write(AdapterWeights weights, string folder, byte[]? card = null)
    {
        PeftForm form = weights.Method.Peft ?? throw new NotSupportedException(
            $"PEFT's format has no method '{weights.Method.Name}'. "
            + "Choose AdapterFormat.LoraDifference, which every LoRA consumer reads, or AdapterFormat.Sorsa.");
        VerifyStart(weights, form);
        double alpha = weights.Scale * (form.UseRsLora ? Math.Sqrt(weights.Rank) : weights.Rank);
        IEnumerable<KeyValuePair<string, Tensor>> tensors =
            from named in weights.Tensors
            from known in weights.Method.Tensors.OrderBy(known => known.Name, StringComparer.Ordinal)
            where known.PeftName is not null
            select KeyValuePair.Create($"{PeftTensorNames.Prefix}{named.Key}.{known.PeftName}", named.Value[known.Name]);
        Write(folder, weights, weights.Rank, alpha, form, [.. tensors], card);
    }

    /// <summary>Writes the update as an ordinary LoRA adapter over the untouched base, of rank 2r for SORSA and PiSSA.</summary>
    /// <exception cref="NotSupportedException">The update is no product of two factors.</exception>
    public static void WriteDifference(AdapterWeights weights, string folder, byte[]? card = null)
    {
        if (weights.WhyNoDifference is { } reason)
        {
            throw new NotSupportedException(reason);
        }

        using var scope = NewDisposeScope();
        var tensors = new List<KeyValuePair<string, Tensor>>();
        foreach (string path in weights.Tensors.Keys)
        {
            (Tensor b, Tensor a) = weights.Difference(path);
            tensors.Add(KeyValuePair.Create($"{PeftTensorNames.Prefix}{path}.{AdapterTensor.LoraA.PeftName}", a));
            tensors.Add(KeyValuePair.Create($"{PeftTensorNames.Prefix}{path}.{AdapterTensor.LoraB.PeftName}", b));
        }

        int rank = (int)tensors[0].Value.shape[0];
        Write(folder, weights, rank, rank, new PeftForm(), tensors, card);
    }

    /// <exception cref="FileNotFoundException">The tensors' file is not there; the message says what is.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt.</exception>
    /// <exception cref="NotSupportedException">
    /// Another method than LoRA, rsLoRA, DoRA and PiSSA, or options or tensors that are not supported; all of them are listed.
    /// </exception>
    public static AdapterWeights Read(string folder)
    {
        PeftConfig config = PeftConfig.Read(Path.Combine(folder, PeftConfig.FileName));
        string path = Path.Combine(folder, WeightsFile);
        if (!File.Exists(path))
        {
            throw new FileNotFoundException(NoTensors(folder), path);
        }

        return new AdapterWeights(
            config.Method, config.Scale, IsQuantized: false, BaseFingerprint: null,
            AdapterTensorFile.Read(path, names => PeftTensorNames.Place(names, path)))
        {
            StatedRank = config.Rank,
            Targets = config.Targets,
        };
    }

    /// <summary>
    /// PEFT decomposes the base anew, exactly, when it loads such a method: what the adapter stands beside must be what was left then.
    /// </summary>
    private static void VerifyStart(AdapterWeights weights, PeftForm form)
    {
        if (form.InitLoraWeights is null)
        {
            return;
        }

        if (weights.IsQuantized)
        {
            throw new NotSupportedException(
                $"PEFT does not load '{form.InitLoraWeights}' over a quantised base, and over the untouched one it is another model. "
                + "Choose AdapterFormat.Sorsa, or SaveHuggingFace for the merged model.");
        }

        if (weights.StartIsRandomized)
        {
            throw new NotSupportedException(
                $"Training started from a randomised decomposition, as for large matrices, and PEFT, which decomposes the base anew for "
                + $"'{form.InitLoraWeights}', would put the adapter beside another rest of it. Choose AdapterFormat.LoraDifference, which "
                + "is exact in PEFT too.");
        }
    }

    private static string NoTensors(string folder) => File.Exists(Path.Combine(folder, PickledFile))
        ? $"The adapter in '{folder}' is in {PickledFile}, a pickled program, which is not read. Load it with PEFT, and call "
            + $"save_pretrained(folder, safe_serialization=True): that writes {WeightsFile}."
        : $"The folder '{folder}' has {PeftConfig.FileName} without {WeightsFile}. Copy both files; the folder holds "
            + $"{NameList.Quoted(Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName).OfType<string>().Order())}.";

    private static void Write(
        string folder, AdapterWeights weights, int rank, double alpha, PeftForm form,
        IReadOnlyCollection<KeyValuePair<string, Tensor>> tensors, byte[]? card)
    {
        var config = new
        {
            base_model_name_or_path = weights.BaseName,
            bias = "none",
            fan_in_fan_out = false,
            inference_mode = true,
            init_lora_weights = form.InitLoraWeights ?? (object)true,
            lora_alpha = alpha,
            lora_dropout = 0.0,
            peft_type = "LORA",
            r = rank,
            target_modules = weights.TargetModules,
            task_type = "CAUSAL_LM",
            use_dora = form.UseDora,
            use_rslora = form.UseRsLora,
        };
        using var target = new NewFolder(folder, nameof(folder));
        AdapterFolder.WriteCard(target, card);
        AdapterFolder.WriteTensors(target.WriteFile, WeightsFile, tensors);
        AdapterFolder.WriteConfig(target.WriteFile, PeftConfig.FileName, config);
        target.Commit();
    }
}
