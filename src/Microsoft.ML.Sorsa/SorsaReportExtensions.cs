using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;

namespace Microsoft.ML.Sorsa;

/// <summary>What is known of data before anything is trained on it.</summary>
public static class SorsaReportExtensions
{
    /// <summary>
    /// What rows are like in tokens: how many, how long, what <see cref="SorsaFineTuningTrainer.Options.MaxPromptLength"/> and
    /// <see cref="SorsaFineTuningTrainer.Options.MaxResponseLength"/> would cut, what is empty or there twice. Of the model config.json,
    /// the headers of the weights' files and the tokenizer are read. Fit tells the same to ML.NET's log before its first step, and
    /// <see cref="SorsaTransformer.Training"/> has it afterwards.
    /// </summary>
    /// <param name="catalog">From <c>mlContext.Sorsa()</c>.</param>
    /// <param name="options">As for <see cref="SorsaCatalog.FineTune(SorsaFineTuningTrainer.Options)"/>.</param>
    /// <param name="trainData">The rows to train on.</param>
    /// <param name="validationData">Others with the same columns; null: none.</param>
    /// <exception cref="ArgumentException">
    /// An option or a column does not fit, as in FineTune and Fit; a row is longer than the model's positions.
    /// </exception>
    /// <exception cref="IOException">The model folder, its config.json or its weights are not there.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt, or the weights are not those of config.json.</exception>
    /// <exception cref="InvalidOperationException">No row has a prompt and a response.</exception>
    public static (DataStatistics Train, DataStatistics? Validation) DescribeData(
        this SorsaCatalog catalog, SorsaFineTuningTrainer.Options options, IDataView trainData, IDataView? validationData = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(trainData);
        FineTuningSettings settings = options.ToSettings();
        settings.VerifyForFolder();
        DecoderConfig config = DecoderConfig.Load(settings.ModelFolder);
        settings.VerifyFor(config);

        // Headers alone: what is mapped is not read, and the stored type needs no look at the range of the values.
        FineTuningSettings headers = settings with { MapWeights = true, SavedType = WeightType.Checkpoint };
        return new SorsaFineTuningTrainer(catalog.Environment, settings, host => new FolderModel(headers, config, TorchDevice.Of(host)))
            .Describe(trainData, validationData);
    }
}
