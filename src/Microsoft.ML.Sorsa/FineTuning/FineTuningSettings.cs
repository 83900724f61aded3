using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Training;
using static Microsoft.ML.Sorsa.Files.OptionRange;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>
/// Everything that one run is told. The trainer's Options say what each of them means, have their defaults, and check their ranges.
/// </summary>
internal sealed record FineTuningSettings
{
    public const string DefaultPromptColumnName = "Prompt", DefaultResponseColumnName = "Response", DefaultOutputColumnName = "Reply";

    /// <summary>Every projection of a decoder layer, as in the paper.</summary>
    public static readonly IReadOnlyList<string> DefaultTargetModules =
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    /// <summary>Empty where the model is an object.</summary>
    public required string ModelFolder { get; init; }

    public required bool MapWeights { get; init; }

    public required string PromptColumnName { get; init; }

    public required string ResponseColumnName { get; init; }

    public required string OutputColumnName { get; init; }

    public required PromptTemplate PromptTemplate { get; init; }

    public required MethodDescriptor Method { get; init; }

    public required MethodSettings MethodSettings { get; init; }

    public required IReadOnlyList<string> TargetModules { get; init; }

    public required TrainingSettings Training { get; init; }

    public required int MaxPromptLength { get; init; }

    public required int MaxResponseLength { get; init; }

    public required TrainedTokens TrainedTokens { get; init; }

    public required EndToken EndToken { get; init; }

    public required WeightType ComputeType { get; init; }

    public required WeightType SavedType { get; init; }

    public required GenerationOptions Generation { get; init; }

    public required IProgress<SorsaTrainingProgress>? Progress { get; init; }

    public required CancellationToken CancellationToken { get; init; }

    /// <summary>Null: singular values and vectors are not looked at.</summary>
    public required AnalysisOptions? Analysis { get; init; }

    /// <summary>A training that does not fit in memory is refused.</summary>
    public required bool MemoryCheck { get; init; }

    /// <summary>Null: no checkpoints are written.</summary>
    public required CheckpointSettings? Checkpoints { get; init; }

    /// <summary>Where the series for TensorBoard go, as a whole path; null: nowhere.</summary>
    public required string? TensorBoardFolder { get; init; }

    /// <summary>The processes that train together; null: this one alone.</summary>
    public required ITrainingRanks? Ranks { get; init; }

    /// <summary>The options that decide the run, as texts for people.</summary>
    public required IReadOnlyList<TrainingOption> Options { get; init; }

    /// <summary>Refuses what this model does not have or allow; looks at sizes only.</summary>
    /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
    public void VerifyFor(DecoderConfig config)
    {
        AdapterSet.Verify(config, TargetModules, RequiredRank);
        MethodSettings.VerifyLayers(config.Spec.LayerCount);
    }

    /// <summary>What the smaller side of every target must be at least; null where the method has no rank.</summary>
    public int? RequiredRank => Method.RequiredRank(MethodSettings);

    /// <summary>Every weight trains, and not those of the targets alone.</summary>
    public bool TrainsEveryWeight => Method.TrainsEveryWeight(MethodSettings);

    /// <summary>Refuses what does not fit together, for a model of a folder.</summary>
    /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
    public void VerifyForFolder()
    {
        if (string.IsNullOrWhiteSpace(ModelFolder))
        {
            throw new ArgumentException(
                $"{nameof(ModelFolder)} is '{ModelFolder}'; it must not be empty. Name a folder in the Hugging Face layout.",
                nameof(ModelFolder));
        }

        Verify();
    }

    /// <summary>The same for a model object without a folder, whose projections cannot be exchanged.</summary>
    /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
    public void VerifyForModule()
    {
        Verify();
        Fit(string.IsNullOrEmpty(ModelFolder), nameof(ModelFolder), ModelFolder, "the model is an object",
            "Leave it empty, or give the folder beside the object: FineTune(model, modelFolder, options)");
        VerifyInPlace("", "give its folder, too: FineTune(model, modelFolder, options)");
    }

    /// <summary>Refuses what needs a decoder of ours, for a model object that is trained where it lies.</summary>
    /// <param name="why">Why it is, to follow the cause of an error; or nothing.</param>
    /// <param name="instead">What else can be done.</param>
    /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
    public void VerifyInPlace(string why, string instead)
    {
        string remedy = $"Leave it at its default, or {instead}";
        Fit(!TrainsEveryWeight, nameof(Method), Method.Method, $"of a model object only the targets can train{why}",
            $"{Method.TargetsAlone}, or {instead}");
        MethodSettings.VerifyForModule(why, remedy);
        Fit(!Training.GradientCheckpointing, nameof(Training.GradientCheckpointing), Training.GradientCheckpointing,
            $"the layers of a model object are its own{why}", remedy);
        Fit(ComputeType == WeightType.Float32, nameof(ComputeType), ComputeType,
            $"a model object computes in the type that it has{why}", remedy);
        Fit(SavedType == WeightType.Checkpoint, nameof(SavedType), SavedType,
            $"a model object's weights keep the type that they have{why}", remedy);
    }

    private void Verify()
    {
        if (ComputeType == WeightType.Float16)
        {
            throw new ArgumentException(
                $"{nameof(ComputeType)} is {ComputeType}, in which small gradients vanish. Train in Float32 or BFloat16; " +
                $"{nameof(SavedType)} may still be Float16.",
                nameof(ComputeType));
        }

        Fit(SavedType != WeightType.Auto, nameof(SavedType), SavedType, "a file must hold the same on every machine",
            $"Choose {WeightType.Checkpoint} for the type that the model was stored in, or name one");
        Fit(EndToken != EndToken.WherePadded || Training.BatchSize > 1, nameof(EndToken), EndToken,
            $"{nameof(Training.BatchSize)} is 1: every row is the longest of its batch, and none learns its end",
            $"Raise {nameof(Training.BatchSize)}, or choose {EndToken.Always} or {EndToken.Never}");
        const string OtherName = "Choose another name, such as " + DefaultOutputColumnName;
        Fit(OutputColumnName != PromptColumnName, nameof(OutputColumnName), $"'{OutputColumnName}'",
            $"{nameof(PromptColumnName)} is the same: the replies would hide the prompts", OtherName);
        Fit(OutputColumnName != ResponseColumnName, nameof(OutputColumnName), $"'{OutputColumnName}'",
            $"{nameof(ResponseColumnName)} is the same: the replies would hide the responses", OtherName);
        if (!TargetModules.SequenceEqual(DefaultTargetModules, StringComparer.Ordinal))
        {
            Method.VerifyHas(nameof(TargetModules), string.Join(", ", TargetModules));
        }

        Method.Verify(MethodSettings);
        string[] strangers = [.. (Analysis?.TargetModules ?? []).Except(TargetModules, StringComparer.Ordinal)];
        Fit(strangers.Length == 0, $"{nameof(Analysis)}.{nameof(Analysis.TargetModules)}", NameList.Quoted(strangers),
            $"{nameof(TargetModules)} has {string.Join(", ", TargetModules)}", "Leave it null for all of them, or name some of them");
        Fit(
            !TrainsEveryWeight || ComputeType is not (WeightType.BFloat16 or WeightType.Checkpoint),
            nameof(ComputeType), ComputeType,
            $"{Method.Method} trains every weight in it, and in 16 bits small steps are rounded away", $"Choose {WeightType.Float32}");
    }
}
