using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa;

/// <content>The options are nested in their trainer, as ML.NET's are; they have this file for themselves.</content>
public sealed partial class SorsaFineTuningTrainer
{
    /// <summary>
    /// Everything that can be set. The defaults suit small models and short runs; the numbers of the paper's tables are
    /// <see cref="Llama2_7B"/> and <see cref="Mistral_7B"/>. All of them are checked when the trainer is made.
    /// </summary>
    public sealed partial class Options
    {
        /// <summary>The rank where <see cref="Rank"/> is null.</summary>
        public const int DefaultRank = MethodSettings.DefaultRank;

        /// <summary>
        /// The model to start from: a folder in the Hugging Face layout (config.json, safetensors, the tokenizer's files). Required.
        /// </summary>
        public string ModelFolder { get; set; } = "";

        /// <summary>
        /// Maps the model's files into memory instead of reading them. Default true: nothing is copied, and the files must stay as they
        /// are while the model, or what was trained from it, is in use: one that is cut short ends the process, without an exception.
        /// False reads them once and whole: for files that others may write to, network drives and removable disks.
        /// </summary>
        public bool MapWeights { get; set; } = true;

        /// <summary>The column of text that holds the prompts. Default "Prompt".</summary>
        [OptionRequired("Name the column that holds the prompts")]
        public string PromptColumnName { get; set; } = FineTuningSettings.DefaultPromptColumnName;

        /// <summary>The column of text that holds the responses to learn; needed in training only. Default "Response".</summary>
        [OptionRequired("Name the column that holds the responses")]
        public string ResponseColumnName { get; set; } = FineTuningSettings.DefaultResponseColumnName;

        /// <summary>
        /// The column of text that the fitted model adds. Default "Reply"; neither the prompts' nor the responses' column. A column of this
        /// name in the data is hidden behind the model; a warning in ML.NET's log says so.
        /// </summary>
        [OptionRequired("Name the column to add")]
        public string OutputColumnName { get; set; } = FineTuningSettings.DefaultOutputColumnName;

        /// <summary>What stands around a prompt. Default <see cref="Data.PromptTemplate.Alpaca"/>, as in the paper.</summary>
        [OptionRequired("Use PromptTemplate.Alpaca, as the paper does")]
        public PromptTemplate PromptTemplate { get; set; } = PromptTemplate.Alpaca;

        /// <summary>
        /// What trains, and how it starts. Default <see cref="FineTuningMethod.Sorsa"/>. Options that it does not have must keep their
        /// defaults.
        /// </summary>
        public FineTuningMethod Method { get; set; }

        /// <summary>
        /// How much of each projection trains: the more, the more it can learn, and the larger and slower training is. Raise it (to 32, 64,
        /// 128) where a long training on many rows still ends with a high loss; lower it for few rows, or to save memory. r, the singular
        /// triplets, or the columns of B, in each projection; in GaLore those of the gradients' projectors. Default null: 16; from 1 to the
        /// smaller side of the smallest target, but in GaLore to any number.
        /// </summary>
        [OptionRange(1, int.MaxValue, MethodSettings.RankRemedy)]
        public int? Rank { get; set; }

        /// <summary>
        /// How strongly what is trained counts in the output. Leave it null, and change <see cref="LearningRate"/> instead; set it to take
        /// over a recipe of PEFT's, with its lora_alpha and its learning rate together. It scales the trained part by c = Alpha / Rank; in
        /// rank-stabilised LoRA by Alpha / √Rank. Default null: as Rank, so that c = 1, as in the papers of SORSA and PiSSA; above 0.
        /// </summary>
        [OptionRange(0, double.MaxValue, MethodSettings.AlphaRemedy, MinimumIsExclusive = true)]
        public double? Alpha { get; set; }

        /// <summary>
        /// The share of a trained part's input that is dropped in training. Default 0, as in the paper; at least 0, below 1.
        /// </summary>
        [OptionRange(0, 1, "Use 0, as the paper does", MaximumIsExclusive = true)]
        public double Dropout { get; set; }

        /// <summary>
        /// How hard SORSA holds what it trains to the form of a singular value decomposition. Leave it at first; 0 switches it off, which
        /// makes steps faster, and a sweep over 1e-5 to 1e-2 shows whether another value suits the data. γ of Eq. (10), the weight of the
        /// penalty ‖UᵀU − I‖ + ‖VᵀV − I‖ that keeps the singular vectors orthonormal; in AdaLoRA the weight of the same penalty in the
        /// loss. Default null: 4e-4 for SORSA, as in the paper's tables, 0.5 for AdaLoRA, as in PEFT; at least 0.
        /// </summary>
        [OptionRange(0, double.MaxValue, MethodSettings.GammaRemedy)]
        public double? Gamma { get; set; }

        /// <summary>
        /// How Eq. (9) adds up over the matrices. Default <see cref="RegularizerReduction.Mean"/>, to which the paper's γ belong.
        /// </summary>
        [OptionDefined]
        public RegularizerReduction RegularizerReduction { get; set; }

        /// <summary>The singular triplets that SORSA trains. Default <see cref="SingularTriplets.Leading"/>, as in the paper.</summary>
        [OptionDefined]
        public SingularTriplets Triplets { get; set; }

        /// <summary>
        /// The first triplet, counted from 0 at the largest singular value, of <see cref="SingularTriplets.Slice"/>, which needs it.
        /// Default null; at least 0; with Rank at most the smaller side of the smallest target.
        /// </summary>
        public int? SliceStart { get; set; }

        /// <summary>
        /// After each step of SORSA, U and V become orthonormal again, exactly: the Q of their QR decomposition with a positive diagonal.
        /// Default false; not in the paper. The penalty has nothing left to do, so that Gamma must then be null or 0.
        /// </summary>
        public bool HardOrthonormality { get; set; }

        /// <summary>How many triplets AdaLoRA keeps, and when it prunes. Default null: a new <see cref="Adapters.RankBudget"/>.</summary>
        public RankBudget? RankBudget { get; set; }

        /// <summary>How GaLore projects gradients. Default null: a new <see cref="Adapters.GradientProjection"/>.</summary>
        public GradientProjection? GradientProjection { get; set; }

        /// <summary>Which layers LISA trains at a time. Default null: a new <see cref="Adapters.LayerSampling"/>.</summary>
        public LayerSampling? LayerSampling { get; set; }

        /// <summary>
        /// How the weights beside the trained part are kept while they train. Default <see cref="BaseQuantization.None"/>.
        /// </summary>
        [OptionDefined]
        public BaseQuantization Quantization { get; set; }

        /// <summary>
        /// How often decomposition and quantisation take turns at the start of SORSA and PiSSA over a quantised base, each making up for
        /// the other's error. Default 1: once; at least 1.
        /// </summary>
        [OptionRange(1, int.MaxValue, "Choose a larger number")]
        public int QuantizationRounds { get; set; } = MethodSettings.DefaultQuantizationRounds;

        /// <summary>
        /// The projections that are adapted, by name, in every layer. Default all seven: q_proj, k_proj, v_proj, o_proj, gate_proj,
        /// up_proj, down_proj. Full fine-tuning and LISA train everything, GaLore the others, too, without a projection.
        /// </summary>
        [OptionRequired("Name one or more of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj")]
        public IReadOnlyList<string> TargetModules { get; set; } = FineTuningSettings.DefaultTargetModules;

        /// <summary>
        /// How far each step moves what trains. Lower it (to a third, say) where the loss jumps or training diverges, and for large models;
        /// raise it where the loss hardly falls. η_d, the peak of the schedule. Default null: the method's own for small models and some
        /// 100 steps, which docs/options.md lists with where each comes from: 5e-4 for SORSA, PiSSA, full and partial fine-tuning and LISA,
        /// 1e-3 for rsLoRA, 2e-3 for GaLore, 3e-3 for LoRA and DoRA, 2e-2 for AdaLoRA; above 0. The paper's 3e-5 is for SORSA, 7 billion
        /// parameters and long runs.
        /// </summary>
        [OptionRange(0, double.MaxValue, "Leave it null for the method's own; SORSA takes 3e-5 for 7 billion parameters",
            MinimumIsExclusive = true)]
        public double? LearningRate { get; set; }

        /// <summary>How the learning rate goes on after the warm-up. Default cosine to 0, as in the paper.</summary>
        [OptionDefined]
        public LearningRateDecay LearningRateDecay { get; set; }

        /// <summary>
        /// The share of the steps, rounded up, over which the learning rate rises from 0. Default 0.03, as in the paper; from 0 to 1.
        /// </summary>
        [OptionRange(0, 1, "Use 0.03, as the paper does")]
        public double WarmupRatio { get; set; } = 0.03;

        /// <summary>AdamW's decoupled weight decay on what trains. Default 0, as in the paper; at least 0.</summary>
        [OptionRange(0, double.MaxValue, "Use 0, as the paper does")]
        public double WeightDecay { get; set; }

        /// <summary>AdamW's β₁. Default 0.9; at least 0, below 1.</summary>
        [OptionRange(0, 1, "Use 0.9", MaximumIsExclusive = true)]
        public double AdamBeta1 { get; set; } = 0.9;

        /// <summary>AdamW's β₂. Default 0.999; at least 0, below 1.</summary>
        [OptionRange(0, 1, "Use 0.999", MaximumIsExclusive = true)]
        public double AdamBeta2 { get; set; } = 0.999;

        /// <summary>AdamW's ε. Default 1e-8; above 0.</summary>
        [OptionRange(0, double.MaxValue, "Use 1e-8", MinimumIsExclusive = true)]
        public double AdamEpsilon { get; set; } = 1e-8;

        /// <summary>The global norm that the loss's gradient is clipped to; null clips nothing. Default 1; above 0.</summary>
        [OptionRange(0, double.MaxValue, "Leave it null to clip nothing", MinimumIsExclusive = true)]
        public double? MaxGradNorm { get; set; } = 1;

        /// <summary>In which order training goes through the rows. Default <see cref="RowOrder.Shuffled"/>, by the seed.</summary>
        [OptionDefined]
        public RowOrder RowOrder { get; set; }

        /// <summary>Rows that go through the model together. Default 16; at least 1.</summary>
        [OptionRange(1, int.MaxValue, "Choose a larger number")]
        public int BatchSize { get; set; } = 16;

        /// <summary>
        /// Batches whose gradients make up one step: the effective batch is <see cref="BatchSize"/> times this, and the loss is the mean
        /// over all of its tokens to learn, so that 8 × 1 and 2 × 4 train alike (not so where BatchSize decides which ends are learnt, with
        /// <see cref="EndToken.WherePadded"/>, or the order, with <see cref="RowOrder.SortedBuckets"/>). Default 1; at least 1.
        /// </summary>
        [OptionRange(1, int.MaxValue, "Choose a larger number")]
        public int GradientAccumulationSteps { get; set; } = 1;

        /// <summary>
        /// Keeps less of a batch between forward and backward, and computes the rest twice: of every decoder layer two tensors
        /// [rows, tokens, hidden size] stay. The gradients are the same to the bit; docs/memory.md says what it saves and what it costs.
        /// Default false. Turn it on where training does not fit into memory, or to take longer rows or larger batches.
        /// </summary>
        public bool GradientCheckpointing { get; set; }

        /// <summary>
        /// Tokens to learn whose scores over the vocabulary are computed at a time, forward and backward: so many rows of the vocabulary's
        /// size, in float32, is what the loss takes of memory. Default 512; at least 1.
        /// </summary>
        [OptionRange(1, int.MaxValue, "Choose a larger number")]
        public int LogitsChunkSize { get; set; } = 512;

        /// <summary>Passes over the data. Default 1; at least 1.</summary>
        [OptionRange(1, int.MaxValue, "Choose a larger number")]
        public int NumberOfEpochs { get; set; } = 1;

        /// <summary>Ends training after so many steps, the schedule with it; null: the epochs decide. Default null; at least 1.</summary>
        [OptionRange(1, int.MaxValue, "Choose a larger number")]
        public int? MaxSteps { get; set; }

        /// <summary>
        /// Tokens of a prompt, its template and BOS included, before the end of its own text is cut; the template around it stays whole. So
        /// in training, and in prediction by the fitted model. Default 512; at least 1, and more than the template has.
        /// </summary>
        [OptionRange(1, int.MaxValue, "Choose a larger number")]
        public int MaxPromptLength { get; set; } = 512;

        /// <summary>
        /// Tokens of a response, its end token included, before its end is cut, in training; the end token is cut first. Default 512; at
        /// least 1.
        /// </summary>
        [OptionRange(1, int.MaxValue, "Choose a larger number")]
        public int MaxResponseLength { get; set; } = 512;

        /// <summary>
        /// Which tokens of a row are learnt. Default <see cref="TrainedTokens.Response"/>; <see cref="TrainedTokens.All"/> takes prompt and
        /// response for one text, and cuts it at <see cref="MaxPromptLength"/> + <see cref="MaxResponseLength"/> tokens.
        /// </summary>
        [OptionDefined]
        public TrainedTokens TrainedTokens { get; set; }

        /// <summary>
        /// Which rows learn where a response ends. Default <see cref="EndToken.Always"/>: all whose end was not cut.
        /// <see cref="EndToken.WherePadded"/> needs a <see cref="BatchSize"/> above 1.
        /// </summary>
        [OptionDefined]
        public EndToken EndToken { get; set; }

        /// <summary>
        /// Steps between two evaluations of the validation rows; null: once per epoch. Default null; at least 1. Needs validation rows.
        /// </summary>
        [OptionRange(1, int.MaxValue, "Choose a larger number")]
        public int? EvaluationSteps { get; set; }

        /// <summary>
        /// Evaluations of the validation rows without a lower loss after which training stops; null: never. With validation rows the
        /// weights of the lowest loss are kept in either case. Default null; at least 1. Needs validation rows.
        /// </summary>
        [OptionRange(1, int.MaxValue, "Choose a larger number")]
        public int? EarlyStoppingPatience { get; set; }

        /// <summary>
        /// Decides the order of the rows, the start of the adapters, the randomised decomposition and dropout; MLContext's own seed is not
        /// used. Default 0. The same seed gives the same bits on the same machine.
        /// </summary>
        public int Seed { get; set; }

        /// <summary>
        /// Refuses to train, before the weights are loaded, what by the estimate of <see cref="SorsaCatalog.Estimate"/> does not fit in the
        /// device's free memory and the container's limit; the error lists what would take less. Default true. False trains all the same,
        /// after a warning: where the machine swaps, or other programs are about to end. Either way ML.NET's log has the numbers.
        /// </summary>
        public bool MemoryCheck { get; set; } = true;

        /// <summary>How the fitted model generates. Default greedy, at most 256 tokens.</summary>
        [OptionRequired("Use new GenerationOptions() for the defaults")]
        public GenerationOptions Generation { get; set; } = new();

        /// <summary>Told of every step, on the thread that trains. Default null.</summary>
        public IProgress<SorsaTrainingProgress>? Progress { get; set; }

        /// <summary>
        /// Compares singular values and vectors of what trains with those at the start, at steps that it chooses, as the paper does in its
        /// section 3: <see cref="SorsaTransformer.Analysis"/> has what came out. Nothing of the training changes. Default null: no.
        /// </summary>
        public AnalysisOptions? Analysis { get; set; }

        /// <summary>
        /// Ends training between two steps with an <see cref="OperationCanceledException"/>. Nothing is saved then but a checkpoint, where
        /// there is a <see cref="CheckpointFolder"/>.
        /// </summary>
        public CancellationToken CancellationToken { get; set; }

        /// <summary>
        /// Where training writes down how far it is, so that it goes on where it was interrupted: Fit with the same options, data and
        /// model gives the same bits as if nothing had happened, on the same machine. Checkpoints are folders checkpoint-STEP; each is also
        /// an adapter for <see cref="SorsaTransformer.LoadAdapter"/>, where the method has one. One folder for each training; made if it is
        /// not there. While it trains, SIGTERM and Ctrl+C end the process after the step that is under way is written. Default null: none.
        /// </summary>
        public string? CheckpointFolder { get; set; }

        /// <summary>
        /// Steps between two checkpoints; one is also written at the end of every epoch, at the lowest validation loss so far, at the end
        /// and on cancellation. Default 50; at least 1. Needs <see cref="CheckpointFolder"/>.
        /// </summary>
        [OptionRange(1, int.MaxValue, "Choose a larger number")]
        public int CheckpointSteps { get; set; } = CheckpointSettings.DefaultSteps;

        /// <summary>
        /// How many of the newest checkpoints stay, beside the one of the lowest validation loss. Default 2; at least 1. Needs
        /// <see cref="CheckpointFolder"/>.
        /// </summary>
        [OptionRange(1, int.MaxValue, "Choose a larger number")]
        public int KeepCheckpoints { get; set; } = CheckpointSettings.DefaultKeep;

        /// <summary>
        /// What to do with checkpoints that are there already. Default <see cref="ResumeMode.Auto"/>: go on. Needs
        /// <see cref="CheckpointFolder"/>.
        /// </summary>
        [OptionDefined]
        public ResumeMode Resume { get; set; }

        /// <summary>
        /// Where TensorBoard reads what training is doing, step by step: loss, validation loss, learning rate, gradient norm,
        /// orthonormality, tokens/s, by the names that transformers' trainer gives them (train/loss, eval/loss). One folder for each
        /// training, and in it one for each trial of a sweep; made if it is not there. A training that goes on from a checkpoint continues
        /// the series; one that begins anew in the same folder takes their place. Default null: none.
        /// </summary>
        public string? TensorBoardFolder { get; set; }

        /// <summary>Table 2: Llama 2 7B. r = 128, η_d = 3e-5, γ = 4e-4, 128 rows a step (as 8 × 16), bfloat16, TF32.</summary>
        public static Options Llama2_7B(string modelFolder) => Paper(modelFolder, rank: 128);

        /// <summary>Table 3: Mistral 7B v0.1. r = 64, η_d = 3e-5, γ = 4e-4, 128 rows a step (as 8 × 16), bfloat16, TF32.</summary>
        public static Options Mistral_7B(string modelFolder) => Paper(modelFolder, rank: 64);

        /// <summary>
        /// Whether an option belongs to <see cref="Method"/> and does anything beside what else is set, as SliceStart does only where
        /// Triplets is Slice. Where it does not, it must be left at its default.
        /// </summary>
        /// <param name="name">The option's name, such as <c>nameof(Gamma)</c>.</param>
        public bool HasEffect(string name) => MethodCatalog.Get(Method).Has(name) && ToMethodSettings().HasEffect(name);

        private static Options Paper(string modelFolder, int rank) => new()
        {
            ModelFolder = modelFolder,
            Rank = rank,
            LearningRate = 3e-5,
            Gamma = 4e-4,
            BatchSize = 8,
            GradientAccumulationSteps = 16,
            ComputeType = WeightType.BFloat16,
            AllowTf32 = true,
        };
    }
}
