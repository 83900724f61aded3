using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa;

/// <content>From the options, as users set them, to the records that a run reads.</content>
public sealed partial class SorsaFineTuningTrainer
{
    public sealed partial class Options
    {
        /// <summary>Checks every range, and hands the values on.</summary>
        /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
        internal FineTuningSettings ToSettings()
        {
            OptionRange.Verify(this);
            Generation.Validate();
            return new FineTuningSettings
            {
                Method = MethodCatalog.Get(Method),
                MethodSettings = ToMethodSettings(),
                Training = new TrainingSettings
                {
                    LearningRate = LearningRate ?? MethodCatalog.Get(Method).DefaultLearningRate,
                    LearningRateDecay = LearningRateDecay,
                    WarmupRatio = WarmupRatio,
                    WeightDecay = WeightDecay,
                    AdamBeta1 = AdamBeta1,
                    AdamBeta2 = AdamBeta2,
                    AdamEpsilon = AdamEpsilon,
                    MaxGradNorm = MaxGradNorm,
                    RowOrder = RowOrder,
                    BatchSize = BatchSize,
                    GradientAccumulationSteps = GradientAccumulationSteps,
                    LogitsChunkSize = LogitsChunkSize,
                    GradientCheckpointing = GradientCheckpointing,
                    AllowTf32 = AllowTf32,
                    NumberOfEpochs = NumberOfEpochs,
                    MaxSteps = MaxSteps,
                    EvaluationSteps = EvaluationSteps,
                    EarlyStoppingPatience = EarlyStoppingPatience,
                    Seed = Seed,
                },
                // The current directory may be another one when the model is opened.
                ModelFolder = string.IsNullOrWhiteSpace(ModelFolder) ? ModelFolder : Path.GetFullPath(ModelFolder),
                MapWeights = MapWeights,
                PromptColumnName = PromptColumnName,
                ResponseColumnName = ResponseColumnName,
                OutputColumnName = OutputColumnName,
                PromptTemplate = PromptTemplate,
                TargetModules = [.. TargetModules],
                MaxPromptLength = MaxPromptLength,
                MaxResponseLength = MaxResponseLength,
                TrainedTokens = TrainedTokens,
                EndToken = EndToken,
                ComputeType = ComputeType,
                SavedType = SavedType,
                Generation = Generation,
                Progress = Progress,
                CancellationToken = CancellationToken,
                Analysis = Analysis?.Verified($"{nameof(Analysis)}."),
                MemoryCheck = MemoryCheck,
                Checkpoints = ToCheckpointSettings(),
                TensorBoardFolder = string.IsNullOrWhiteSpace(TensorBoardFolder) ? null : Path.GetFullPath(TensorBoardFolder),
                Ranks = Ranks,
                Options = ToTexts(),
            };
        }

        /// <summary>Those that decide a run, with the values that null stands for. No paths: a model card shows them.</summary>
        private IReadOnlyList<TrainingOption> ToTexts()
        {
            Dictionary<string, string> defaults = new Options { Method = Method }.Texts().ToDictionary(StringComparer.Ordinal);
            return
            [
                .. Texts().Select(option => new TrainingOption(
                    option.Key, option.Value,
                    option.Value == defaults.GetValueOrDefault(option.Key) || GetType().GetProperty(option.Key)!.GetValue(this) is null)),
            ];
        }

        private IEnumerable<KeyValuePair<string, string>> Texts()
        {
            string[] local =
            [
                nameof(ModelFolder), nameof(MapWeights), nameof(PromptColumnName), nameof(ResponseColumnName), nameof(OutputColumnName),
                nameof(MemoryCheck), nameof(Progress), nameof(Analysis), nameof(CancellationToken), nameof(CheckpointFolder),
                nameof(CheckpointSteps), nameof(KeepCheckpoints), nameof(Resume), nameof(TensorBoardFolder), nameof(Ranks),
            ];
            MethodDescriptor method = MethodCatalog.Get(Method);
            int rank = Rank ?? DefaultRank;
            var shown = new Dictionary<string, object?>(StringComparer.Ordinal)
            {
                [nameof(LearningRate)] = LearningRate ?? method.DefaultLearningRate,
                [nameof(Rank)] = rank,
                [nameof(Alpha)] = Alpha ?? rank,
                [nameof(Gamma)] = Gamma ?? method.DefaultGamma,
                [nameof(PromptTemplate)] = PromptTemplate.ToString(),
            };
            return OptionTexts.Of(this, name => !local.Contains(name, StringComparer.Ordinal) && HasEffect(name), shown);
        }

        private CheckpointSettings? ToCheckpointSettings()
        {
            if (!string.IsNullOrWhiteSpace(CheckpointFolder))
            {
                return new CheckpointSettings(Path.GetFullPath(CheckpointFolder), CheckpointSteps, KeepCheckpoints, Resume);
            }

            const string Other = $"{nameof(CheckpointFolder)} is not set", Remedy = $"Set {nameof(CheckpointFolder)}, or leave it out";
            OptionRange.Fit(CheckpointSteps == CheckpointSettings.DefaultSteps, nameof(CheckpointSteps), CheckpointSteps, Other, Remedy);
            OptionRange.Fit(KeepCheckpoints == CheckpointSettings.DefaultKeep, nameof(KeepCheckpoints), KeepCheckpoints, Other, Remedy);
            OptionRange.Fit(Resume == ResumeMode.Auto, nameof(Resume), Resume, Other, Remedy);
            return null;
        }

        private MethodSettings ToMethodSettings() => new()
        {
            Rank = Rank,
            Alpha = Alpha,
            Dropout = Dropout,
            Gamma = Gamma,
            RegularizerReduction = RegularizerReduction,
            Triplets = Triplets,
            SliceStart = SliceStart,
            HardOrthonormality = HardOrthonormality,
            RankBudget = RankBudget,
            GradientProjection = GradientProjection,
            LayerSampling = LayerSampling,
            Quantization = Quantization,
            QuantizationRounds = QuantizationRounds,
        };
    }
}
