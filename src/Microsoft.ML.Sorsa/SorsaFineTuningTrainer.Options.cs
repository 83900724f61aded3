using System.Globalization;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa;

public sealed partial class SorsaFineTuningTrainer
{
    /// <summary>
    /// Everything that can be set. The defaults suit small models and short runs; the numbers of the paper's tables are
    /// <see cref="Llama2_7B"/> and <see cref="Mistral_7B"/>. All of them are checked when the trainer is made.
    /// </summary>
    public sealed class Options
    {
        private static readonly string[] AllProjections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

        /// <summary>The model to start from: a folder in the Hugging Face layout (config.json, model.safetensors or its shards, tokenizer.json or tokenizer.model). Required.</summary>
        public string ModelFolder { get; set; } = "";

        /// <summary>The column of text that holds the prompts. Default "Prompt".</summary>
        public string PromptColumnName { get; set; } = "Prompt";

        /// <summary>The column of text that holds the responses to learn; needed in training only. Default "Response".</summary>
        public string ResponseColumnName { get; set; } = "Response";

        /// <summary>The column of text that the fitted model adds. Default "Answer".</summary>
        public string OutputColumnName { get; set; } = "Answer";

        /// <summary>What stands around a prompt. Default <see cref="Data.PromptTemplate.Alpaca"/>, as in the paper.</summary>
        public PromptTemplate PromptTemplate { get; set; } = PromptTemplate.Alpaca;

        /// <summary>r, the singular triplets of each projection that train. Default 16; from 1 to the smaller side of the smallest target.</summary>
        public int Rank { get; set; } = 16;

        /// <summary>
        /// Scales the trained part by c = Alpha / Rank, as in LoRA. Default null: c = 1, as in the paper; above 0. (It is in the authors'
        /// code, not in the paper.)
        /// </summary>
        public double? Alpha { get; set; }

        /// <summary>The share of a trained part's input that is dropped in training. Default 0, as in the paper; at least 0, below 1.</summary>
        public double Dropout { get; set; }

        /// <summary>
        /// γ of Eq. (10), the weight of the penalty ‖UᵀU − I‖ + ‖VᵀV − I‖ that keeps the singular vectors orthonormal. Default 4e-4, as in
        /// the paper's tables; at least 0. 0 is "SORSA without regularizer" and costs nothing.
        /// </summary>
        public double Gamma { get; set; } = 4e-4;

        /// <summary>How Eq. (9) adds up over the matrices of the model. Default <see cref="RegularizerReduction.Mean"/>, what the paper's γ belong to.</summary>
        public RegularizerReduction RegularizerReduction { get; set; } = RegularizerReduction.Mean;

        /// <summary>The projections that are adapted, by name, in every layer. Default all seven: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj.</summary>
        public IReadOnlyList<string> TargetModules { get; set; } = AllProjections;

        /// <summary>η_d, the peak learning rate. Default 5e-4; above 0. The paper's 3e-5 is for 7 billion parameters and long runs.</summary>
        public double LearningRate { get; set; } = 5e-4;

        /// <summary>How the learning rate goes on after the warm-up. Default cosine to 0, as in the paper.</summary>
        public LearningRateDecay LearningRateDecay { get; set; } = LearningRateDecay.Cosine;

        /// <summary>The share of the steps, rounded up, over which the learning rate rises from 0. Default 0.03, as in the paper; from 0 to 1.</summary>
        public double WarmupRatio { get; set; } = 0.03;

        /// <summary>AdamW's decoupled weight decay on U, s and Vt. Default 0, as in the paper; at least 0.</summary>
        public double WeightDecay { get; set; }

        /// <summary>AdamW's β₁. Default 0.9; at least 0, below 1.</summary>
        public double AdamBeta1 { get; set; } = 0.9;

        /// <summary>AdamW's β₂. Default 0.999; at least 0, below 1.</summary>
        public double AdamBeta2 { get; set; } = 0.999;

        /// <summary>AdamW's ε. Default 1e-8; above 0.</summary>
        public double AdamEpsilon { get; set; } = 1e-8;

        /// <summary>The global norm that the loss's gradient is clipped to; null clips nothing. Default 1; above 0.</summary>
        public double? MaxGradNorm { get; set; } = 1;

        /// <summary>Rows that go through the model together. Default 16; at least 1.</summary>
        public int BatchSize { get; set; } = 16;

        /// <summary>
        /// Batches whose gradients make up one step: the effective batch is <see cref="BatchSize"/> times this, and the loss is the mean over all of
        /// its response tokens, so that 8 × 1 and 2 × 4 train alike. Default 1; at least 1.
        /// </summary>
        public int GradientAccumulationSteps { get; set; } = 1;

        /// <summary>Passes over the data. Default 1; at least 1.</summary>
        public int NumberOfEpochs { get; set; } = 1;

        /// <summary>Ends training after so many steps, the schedule with it; null: the epochs decide. Default null; at least 1.</summary>
        public int? MaxSteps { get; set; }

        /// <summary>Tokens of a prompt, its template and BOS included, before it is cut. Default 512; at least 1.</summary>
        public int MaxPromptLength { get; set; } = 512;

        /// <summary>Tokens of a response, the end-of-text token included, before it is cut. Default 512; at least 1.</summary>
        public int MaxResponseLength { get; set; } = 512;

        /// <summary>Steps between two looks at the validation rows; null: once per epoch. Default null; at least 1. Needs validation rows.</summary>
        public int? EvaluationSteps { get; set; }

        /// <summary>
        /// Looks at the validation rows without a lower loss after which training stops; null: never. With validation rows the weights of the lowest
        /// loss are kept in either case. Default null; at least 1. Needs validation rows.
        /// </summary>
        public int? EarlyStoppingPatience { get; set; }

        /// <summary>Decides the order of the rows, the randomised decomposition and dropout; MLContext's own seed is not used. Default 0. The same seed gives the same bits on the same machine.</summary>
        public int Seed { get; set; }

        /// <summary>
        /// What the model computes in. Default <see cref="WeightType.Float32"/>; the adapters train in float32 in any case. The paper's runs use
        /// <see cref="WeightType.BFloat16"/>, which pays on GPUs and is several times slower on most CPUs.
        /// </summary>
        public WeightType ComputeType { get; set; } = WeightType.Float32;

        /// <summary>What zip and folder hold. Default <see cref="WeightType.Checkpoint"/>: what the model was stored in. The fitted model computes with the weights so rounded. (Where
        /// <see cref="ComputeType"/> is the narrower of the two, what is saved has its precision.)</summary>
        public WeightType SavedType { get; set; } = WeightType.Checkpoint;

        /// <summary>How the fitted model generates. Default greedy, at most 256 tokens.</summary>
        public GenerationOptions Generation { get; set; } = new();

        /// <summary>Told of every step, on the thread that trains. Default null.</summary>
        public IProgress<SorsaTrainingProgress>? Progress { get; set; }

        /// <summary>Ends training between two steps with an <see cref="OperationCanceledException"/>; nothing is saved then.</summary>
        public CancellationToken CancellationToken { get; set; }

        /// <summary>Table 2: Llama 2 7B. r = 128, η_d = 3e-5, γ = 4e-4, 128 rows a step (as 8 × 16), bfloat16.</summary>
        public static Options Llama2_7B(string modelFolder) => Paper(modelFolder, rank: 128);

        /// <summary>Table 3: Mistral 7B v0.1. r = 64, η_d = 3e-5, γ = 4e-4, 128 rows a step (as 8 × 16), bfloat16.</summary>
        public static Options Mistral_7B(string modelFolder) => Paper(modelFolder, rank: 64);

        internal TrainingOptions ForLoop(int padTokenId, int stepsPerEpoch) => new()
        {
            LearningRate = LearningRate,
            LearningRateDecay = LearningRateDecay,
            WarmupRatio = WarmupRatio,
            WeightDecay = WeightDecay,
            AdamBeta1 = AdamBeta1,
            AdamBeta2 = AdamBeta2,
            AdamEpsilon = AdamEpsilon,
            MaxGradNorm = MaxGradNorm,
            Gamma = Gamma,
            RegularizerMean = RegularizerReduction == RegularizerReduction.Mean,
            EvaluationSteps = EvaluationSteps ?? stepsPerEpoch,
            EarlyStoppingPatience = EarlyStoppingPatience ?? int.MaxValue,
            PadTokenId = padTokenId,
        };

        /// <summary>A copy, so that what was checked is what is used.</summary>
        internal Options Clone()
        {
            var copy = (Options)MemberwiseClone();
            copy.TargetModules = TargetModules is null ? null! : [.. TargetModules];
            return copy;
        }

        /// <summary>Refuses values outside their range and values that do not fit together.</summary>
        /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
        internal void Validate()
        {
            Named(ModelFolder, nameof(ModelFolder), "Name a folder in the Hugging Face layout");
            Named(PromptColumnName, nameof(PromptColumnName), "Name the column that holds the prompts");
            Named(ResponseColumnName, nameof(ResponseColumnName), "Name the column that holds the responses");
            Named(OutputColumnName, nameof(OutputColumnName), "Name the column to add");
            NotNull(PromptTemplate, nameof(PromptTemplate), "Use PromptTemplate.Alpaca, as the paper does");
            NotNull(TargetModules, nameof(TargetModules), "Name one or more of " + string.Join(", ", AllProjections));
            NotNull(Generation, nameof(Generation), "Use new GenerationOptions() for the defaults");
            Defined(RegularizerReduction, nameof(RegularizerReduction));
            Defined(LearningRateDecay, nameof(LearningRateDecay));
            Defined(ComputeType, nameof(ComputeType));
            Defined(SavedType, nameof(SavedType));
            AtLeastOne(Rank, nameof(Rank));
            AtLeastOne(BatchSize, nameof(BatchSize));
            AtLeastOne(GradientAccumulationSteps, nameof(GradientAccumulationSteps));
            AtLeastOne(NumberOfEpochs, nameof(NumberOfEpochs));
            AtLeastOne(MaxSteps, nameof(MaxSteps));
            AtLeastOne(MaxPromptLength, nameof(MaxPromptLength));
            AtLeastOne(MaxResponseLength, nameof(MaxResponseLength));
            AtLeastOne(EvaluationSteps, nameof(EvaluationSteps));
            AtLeastOne(EarlyStoppingPatience, nameof(EarlyStoppingPatience));
            InRange(Alpha ?? 1, nameof(Alpha), value => value > 0, "above 0", "Leave it null for the paper's c = 1");
            InRange(Dropout, nameof(Dropout), value => value is >= 0 and < 1, "at least 0 and below 1", "Use 0, as the paper does");
            InRange(Gamma, nameof(Gamma), value => value >= 0, "at least 0", "Use 0 for SORSA without regularizer, 4e-4 as the paper does");
            InRange(LearningRate, nameof(LearningRate), value => value > 0, "above 0", "Start from 5e-4 for small models, 3e-5 for 7 billion parameters");
            InRange(WarmupRatio, nameof(WarmupRatio), value => value is >= 0 and <= 1, "from 0 to 1", "Use 0.03, as the paper does");
            InRange(WeightDecay, nameof(WeightDecay), value => value >= 0, "at least 0", "Use 0, as the paper does");
            InRange(AdamBeta1, nameof(AdamBeta1), value => value is >= 0 and < 1, "at least 0 and below 1", "Use 0.9");
            InRange(AdamBeta2, nameof(AdamBeta2), value => value is >= 0 and < 1, "at least 0 and below 1", "Use 0.999");
            InRange(AdamEpsilon, nameof(AdamEpsilon), value => value > 0, "above 0", "Use 1e-8");
            InRange(MaxGradNorm ?? 1, nameof(MaxGradNorm), value => value > 0, "above 0", "Leave it null to clip nothing");
            if (ComputeType == WeightType.Float16)
            {
                throw NoFloat16();
            }

            Generation.Validate();
        }

        /// <summary>Refuses a number that no name of the enumeration has.</summary>
        internal static void Defined<T>(T value, string name)
            where T : struct, Enum
        {
            if (!Enum.IsDefined(value))
            {
                throw new ArgumentOutOfRangeException(name, value, $"{name} is {value}; it must be one of {string.Join(", ", Enum.GetNames<T>())}. Choose one of them.");
            }
        }

        /// <summary>The refusal of float16, be it named or what the checkpoint is stored in.</summary>
        internal ArgumentException NoFloat16() => new(
            $"{nameof(ComputeType)} is {ComputeType}{(ComputeType == WeightType.Checkpoint ? ", and the checkpoint is stored in Float16" : "")}, in which small gradients vanish. "
            + $"Train in Float32 or BFloat16; {nameof(SavedType)} may still be Float16.", nameof(ComputeType));

        /// <summary>Refuses options that only validation rows give a meaning, where there are none.</summary>
        /// <exception cref="ArgumentException">Names the option, its value and the remedy.</exception>
        internal void ValidateWithoutValidationRows()
        {
            (string name, int? value) = EarlyStoppingPatience is not null
                ? (nameof(EarlyStoppingPatience), EarlyStoppingPatience)
                : (nameof(EvaluationSteps), EvaluationSteps);
            if (value is not null)
            {
                throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                    $"{name} is {value}, and there are no validation rows to look at. Call Fit(train, validation), or leave {name} null."), name);
            }
        }

        private static Options Paper(string modelFolder, int rank) => new()
        {
            ModelFolder = modelFolder,
            Rank = rank,
            LearningRate = 3e-5,
            Gamma = 4e-4,
            BatchSize = 8,
            GradientAccumulationSteps = 16,
            ComputeType = WeightType.BFloat16,
        };

        private static void Named(string value, string name, string remedy)
        {
            if (string.IsNullOrWhiteSpace(value))
            {
                throw new ArgumentException($"{name} is '{value}'; it must not be empty. {remedy}.", name);
            }
        }

        private static void NotNull(object? value, string name, string remedy)
        {
            if (value is null)
            {
                throw new ArgumentNullException(name, $"{name} is null; it must be set. {remedy}.");
            }
        }

        private static void AtLeastOne(int? value, string name) =>
            InRange(value ?? 1, name, number => number >= 1, "at least 1", "Choose a larger number");

        private static void InRange(double value, string name, Predicate<double> holds, string limit, string remedy)
        {
            if (!double.IsFinite(value) || !holds(value))
            {
                throw new ArgumentOutOfRangeException(name, value, string.Create(CultureInfo.InvariantCulture, $"{name} is {value}; it must be {limit}. {remedy}."));
            }
        }
    }
}
