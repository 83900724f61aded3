using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Tensors;

namespace Microsoft.ML.Sorsa;

/// <summary>Gives <see cref="SorsaCatalog"/> its <c>Analyze()</c>.</summary>
public static class SorsaAnalysisExtensions
{
    /// <summary>
    /// Compares the matrices of a model with those of one that was fine-tuned from it, whoever did that: how far singular values and
    /// vectors moved, how many directions the update has, and how many intruder dimensions there are. The files are read matrix by matrix,
    /// and nothing is computed but this. The rows have step 0 and no orthonormality.
    /// </summary>
    /// <param name="catalog"><c>mlContext.Sorsa()</c>.</param>
    /// <param name="baseModel">W_0: a folder in the Hugging Face layout, or one safetensors file.</param>
    /// <param name="tunedModel">W_t: the same of the merged model.</param>
    /// <param name="options">All but Steps; null: the defaults.</param>
    /// <param name="cancellationToken">Checked before every matrix.</param>
    /// <exception cref="ArgumentException">An option is outside its range, or names a module that is not there.</exception>
    /// <exception cref="IOException">A folder or file is not there.</exception>
    /// <exception cref="InvalidDataException">
    /// A file is corrupt, a value is not finite, or the two do not have the same matrices; what differs is listed.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static SorsaAnalysis Analyze(
        this SorsaCatalog catalog, string baseModel, string tunedModel, AnalysisOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrWhiteSpace(baseModel);
        ArgumentException.ThrowIfNullOrWhiteSpace(tunedModel);
        AnalysisOptions asked = (options ?? new AnalysisOptions()).Verified(owner: "");
        OptionRange.Fit(asked.Steps is null, nameof(asked.Steps), asked.Steps, "two models have no steps", "Leave it null");
        var analysis = new SorsaAnalysis(
            ModelComparison.Of(baseModel, tunedModel, asked, TorchDevice.Of(catalog.Environment), cancellationToken));
        using IChannel channel = catalog.Environment.Register(nameof(Analyze)).Start("Analysis");
        channel.Info(MessageSensitivity.None, analysis.ToString());
        return analysis;
    }
}
