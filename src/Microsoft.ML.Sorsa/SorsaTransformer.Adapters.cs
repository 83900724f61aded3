using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;

namespace Microsoft.ML.Sorsa;

public sealed partial class SorsaTransformer
{
    private AdapterSwitch? _adapters;

    /// <summary>The adapters that were loaded onto this base, in ordinal order.</summary>
    public IReadOnlyList<string> AdapterNames
    {
        get
        {
            lock (_turn)
            {
                return _adapters?.Names ?? [];
            }
        }
    }

    /// <summary>The adapter that is in use; null: the base alone.</summary>
    public string? ActiveAdapter => _adapters?.Active;

    /// <summary>What was trained here, apart from its base; null where the model was not trained here, or has no adapter.</summary>
    internal AdapterWeights? Trained { get; init; }

    /// <summary>Writes what was trained as an adapter, small and apart from its base.</summary>
    /// <param name="folder">A new folder, or an empty one. It appears when everything in it is written.</param>
    /// <param name="format">How.</param>
    /// <exception cref="ArgumentException">The folder exists and is not empty.</exception>
    /// <exception cref="InvalidOperationException">The model was not trained here, or by full or partial fine-tuning, which has no adapter.</exception>
    /// <exception cref="NotSupportedException">The format does not have the method.</exception>
    public void SaveAdapter(string folder, AdapterFormat format = AdapterFormat.Sorsa)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        SorsaFineTuningTrainer.Options.Defined(format, nameof(format));
        InTurn(() =>
        {
            AdapterWeights trained = Trained ?? throw new InvalidOperationException(
                "There is no adapter to save: only a transformer that Fit gave has one, of a model from a folder, and not from full or partial fine-tuning. Save the whole model with SaveHuggingFace or mlContext.Model.Save.");
            Action<AdapterWeights, string> write = format switch
            {
                AdapterFormat.Peft => PeftFolder.Write,
                AdapterFormat.LoraDifference => PeftFolder.WriteDifference,
                _ => AdapterFolder.Write,
            };
            write(trained, folder);
        });
    }

    /// <summary>Loads an adapter onto this base, to be used with <see cref="UseAdapter"/>. The base stays in memory once, whatever number of adapters there is.</summary>
    /// <param name="name">What to call it here.</param>
    /// <param name="folder">A folder that <see cref="SaveAdapter"/> wrote, or one in PEFT's format with LoRA, rsLoRA, DoRA or PiSSA.</param>
    /// <exception cref="ArgumentException">The name is empty or taken.</exception>
    /// <exception cref="IOException">The folder or one of its files is not there.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt, or the adapter belongs to another base; everything that does not fit is listed.</exception>
    /// <exception cref="NotSupportedException">Another method, or options of PEFT that are not supported.</exception>
    /// <exception cref="InvalidOperationException">This transformer was trained: its base is not there any more.</exception>
    public void LoadAdapter(string name, string folder)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        InTurn(() =>
        {
            if (MergeReport is not null)
            {
                throw new InvalidOperationException("The model was trained here, and its weights are merged: an adapter belongs onto the base. Open the base with mlContext.Sorsa().LoadModel.");
            }

            AdapterWeights weights = Read(folder);
            try
            {
                (_adapters ??= new AdapterSwitch(Model.Network, Model.SavedType)).Add(name, weights, folder);
            }
            catch
            {
                weights.Dispose();
                throw;
            }
        });
    }

    /// <summary>Answers with this adapter from now on. Takes as long as merging it; the base is not read again.</summary>
    /// <param name="name">The name that it was loaded under; null: the base alone.</param>
    /// <exception cref="ArgumentException">There is no adapter of this name.</exception>
    public void UseAdapter(string? name) => InTurn(() => (_adapters ??= new AdapterSwitch(Model.Network, Model.SavedType)).Use(name));

    private static AdapterWeights Read(string folder)
    {
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException($"The adapter's folder '{folder}' does not exist. Name a folder that SaveAdapter or PEFT wrote.");
        }

        return File.Exists(Path.Combine(folder, AdapterFolder.ConfigFile)) ? AdapterFolder.Read(folder)
            : File.Exists(Path.Combine(folder, PeftFolder.ConfigFile)) ? PeftFolder.Read(folder)
            : throw new FileNotFoundException($"The folder '{folder}' has neither {AdapterFolder.ConfigFile} nor {PeftFolder.ConfigFile}. Name a folder that SaveAdapter or PEFT wrote.");
    }
}
