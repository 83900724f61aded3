using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tokenization;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>
/// A model to start from, opened: rows can be encoded for it, and its weights are not loaded yet. It is then adapted, trained and merged,
/// in this order.
/// </summary>
internal interface IPretrainedModel : IDisposable
{
    ITextTokenizer Tokenizer { get; }

    /// <summary>The token that ends a text.</summary>
    int EndTokenId { get; }

    /// <summary>Tokens that a text may have.</summary>
    int MaxPositions { get; }

    /// <summary>Where it computes.</summary>
    Device Device { get; }

    /// <summary>What it computes in; null for a model object, which computes in what it has.</summary>
    ComputeTypeChoice? ComputeType => null;

    /// <summary>Where it comes from; null for an object without a folder.</summary>
    ModelOrigin? Origin { get; }

    /// <summary>Names the files beside the weights that decide what it computes; null for a model object.</summary>
    string? FilesFingerprint() => null;

    /// <summary>The model in sizes, as settings would have it; null where its layers are not known here.</summary>
    ModelSizes? Sizes(FineTuningSettings settings);

    /// <summary>Loads the weights and puts a method's adapters into the targets.</summary>
    /// <param name="targetModules">Names such as q_proj.</param>
    /// <param name="method">Makes the adapters.</param>
    /// <param name="isNamed">Whether <see cref="AdaptedModel.BaseFingerprint"/> is asked for: it takes reading every weight.</param>
    /// <param name="cancellationToken">Checked between two projections.</param>
    AdaptedModel Adapt(IReadOnlyList<string> targetModules, AdapterMethod method, bool isNamed, CancellationToken cancellationToken);
}

/// <summary>
/// A loaded model with adapters in it. Disposed before it is merged, it leaves nothing behind, and a model object as it was.
/// </summary>
internal abstract class AdaptedModel(AdapterSet adapters, ScalarType savedType) : IDisposable
{
    public AdapterSet Adapters => adapters;

    /// <summary>What trains.</summary>
    public abstract ITrainedModel Model { get; }

    /// <summary>Names the weights as they were before; null where nobody asked for it.</summary>
    public abstract string? BaseFingerprint { get; }

    /// <summary>What the adapters hold now, without a copy, as a file of their own has it; null where there is none.</summary>
    public AdapterWeights? ViewAdapters() => BaseFingerprint is null ? null : AdapterWeights.ViewOf(Adapters, BaseFingerprint);

    /// <summary>What merged weights are rounded to.</summary>
    public ScalarType SavedType => savedType;

    /// <summary>Merges the adapters and hands the plain model over, with what trained beside it; nothing is left here.</summary>
    public FineTunedModel Merge()
    {
        AdapterWeights? trained = CopyAdapters();
        try
        {
            adapters.Merge(savedType);
            return HandOver() with { Adapter = trained };
        }
        catch
        {
            trained?.Dispose();
            throw;
        }
    }

    public abstract void Dispose();

    /// <summary>What a file of their own holds of the adapters; null where there is none.</summary>
    protected abstract AdapterWeights? CopyAdapters();

    /// <summary>The merged model, which is the caller's from now on.</summary>
    protected abstract FineTunedModel HandOver();
}

/// <summary>A plain model that was fine-tuned; whoever has it owns it.</summary>
/// <param name="Model">To generate with.</param>
/// <param name="Network">The same as a decoder of ours; null where the model is an object of the user's, who owns it.</param>
/// <param name="SavedType">What the weights are rounded to.</param>
internal sealed record FineTunedModel(ILanguageModel Model, CausalLM? Network, ScalarType SavedType) : IDisposable
{
    /// <summary>Why a model object cannot be saved, without a full stop; null where there is a network.</summary>
    public string? WhyNotSaved { get; init; }

    /// <summary>What the merge did to each matrix.</summary>
    public MergeReport? Report { get; init; }

    /// <summary>What trained, apart from the base; null where it has no file of its own.</summary>
    public AdapterWeights? Adapter { get; init; }

    /// <summary>L_reg of Eq. (9) of what was trained; null for methods without singular vectors.</summary>
    public double? Orthonormality { get; init; }

    /// <summary>How singular values and vectors moved in training; null where nobody asked for it.</summary>
    public SorsaAnalysis? Analysis { get; init; }

    /// <summary>What the training was.</summary>
    public SorsaTrainingRecord? Training { get; init; }

    /// <summary>Frees it; a model object of the user's stays.</summary>
    public void Dispose()
    {
        Adapter?.Dispose();
        Network?.Dispose();
    }
}
