using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa;

public sealed partial class SorsaFineTuningTrainer
{
    public sealed partial class Options
    {
        /// <summary>Refuses values outside their range and values that do not fit together.</summary>
        /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
        internal void Validate()
        {
            Named(ModelFolder, nameof(ModelFolder), "Name a folder in the Hugging Face layout");
            ValidateValues();
        }

        /// <summary>The same for a model object, which has no folder, and whose projections cannot be exchanged.</summary>
        /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
        internal void ValidateForObject()
        {
            const string Remedy = "Leave it at its default, or fine-tune from a model folder";
            ValidateValues();
            Fit(ModelFolder.Length == 0, nameof(ModelFolder), ModelFolder, "the model is an object", "Leave it empty");
            Fit(Method != FineTuningMethod.Full, nameof(Method), Method, "of a model object only the targets can train", $"Use {nameof(FineTuningMethod.Partial)} with {nameof(TargetModules)}, or fine-tune from a model folder");
            Fit(Dropout == 0, nameof(Dropout), Dropout, "a model object computes with the adapted weight itself, so that an adapter has no input of its own", Remedy);
            Fit(Quantization == BaseQuantization.None, nameof(Quantization), Quantization, "a model object computes with its own weights", Remedy);
            Fit(ComputeType == WeightType.Float32, nameof(ComputeType), ComputeType, "a model object computes in the type that it has", Remedy);
            Fit(SavedType == WeightType.Checkpoint, nameof(SavedType), SavedType, "a model object's weights keep the type that they have", Remedy);
        }

        private void ValidateValues()
        {
            Named(PromptColumnName, nameof(PromptColumnName), "Name the column that holds the prompts");
            Named(ResponseColumnName, nameof(ResponseColumnName), "Name the column that holds the responses");
            Named(OutputColumnName, nameof(OutputColumnName), "Name the column to add");
            NotNull(PromptTemplate, nameof(PromptTemplate), "Use PromptTemplate.Alpaca, as the paper does");
            NotNull(TargetModules, nameof(TargetModules), "Name one or more of " + string.Join(", ", AllProjections));
            NotNull(Generation, nameof(Generation), "Use new GenerationOptions() for the defaults");
            Defined(Method, nameof(Method));
            Defined(Triplets, nameof(Triplets));
            Defined(Quantization, nameof(Quantization));
            Defined(RegularizerReduction, nameof(RegularizerReduction));
            Defined(LearningRateDecay, nameof(LearningRateDecay));
            Defined(ComputeType, nameof(ComputeType));
            Defined(SavedType, nameof(SavedType));
            AtLeastOne(Rank, nameof(Rank));
            AtLeastOne(QuantizationRounds, nameof(QuantizationRounds));
            AtLeastOne(BatchSize, nameof(BatchSize));
            AtLeastOne(GradientAccumulationSteps, nameof(GradientAccumulationSteps));
            AtLeastOne(NumberOfEpochs, nameof(NumberOfEpochs));
            AtLeastOne(MaxSteps, nameof(MaxSteps));
            AtLeastOne(MaxPromptLength, nameof(MaxPromptLength));
            AtLeastOne(MaxResponseLength, nameof(MaxResponseLength));
            AtLeastOne(EvaluationSteps, nameof(EvaluationSteps));
            AtLeastOne(EarlyStoppingPatience, nameof(EarlyStoppingPatience));
            InRange(Alpha ?? 1, nameof(Alpha), value => value > 0, "above 0", "Leave it null for c = 1, as in the paper");
            InRange(Dropout, nameof(Dropout), value => value is >= 0 and < 1, "at least 0 and below 1", "Use 0, as the paper does");
            InRange(Gamma ?? 0, nameof(Gamma), value => value >= 0, "at least 0", "Use 0 for SORSA without regularizer, 4e-4 as the paper does");
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

            ValidateMethod();
            Generation.Validate();
        }

        /// <summary>Refuses what does not belong to the method, and what of it does not fit together.</summary>
        private void ValidateMethod()
        {
            Belongs(Rank is not null, nameof(Rank), Rank);
            Belongs(Alpha is not null, nameof(Alpha), Alpha);
            Belongs(Dropout != 0, nameof(Dropout), Dropout);
            Belongs(Quantization != BaseQuantization.None, nameof(Quantization), Quantization);
            Belongs(Gamma is not null, nameof(Gamma), Gamma);
            Belongs(RegularizerReduction != RegularizerReduction.Mean, nameof(RegularizerReduction), RegularizerReduction);
            Belongs(Triplets != SingularTriplets.Leading, nameof(Triplets), Triplets);
            Belongs(SliceStart is not null, nameof(SliceStart), SliceStart);
            Belongs(HardOrthonormality, nameof(HardOrthonormality), HardOrthonormality);
            Belongs(RankBudget is not null, nameof(RankBudget), RankBudget);
            Belongs(QuantizationRounds != 1, nameof(QuantizationRounds), QuantizationRounds);
            Belongs(!TargetModules.SequenceEqual(AllProjections, StringComparer.Ordinal), nameof(TargetModules), string.Join(", ", TargetModules));

            Fit(Triplets == SingularTriplets.Slice || SliceStart is null, nameof(SliceStart), SliceStart, $"{nameof(Triplets)} is {Triplets}", $"Set {nameof(Triplets)} to {SingularTriplets.Slice}, or leave {nameof(SliceStart)} null");
            Fit(Triplets != SingularTriplets.Slice || SliceStart >= 0, nameof(SliceStart), SliceStart, $"{nameof(Triplets)} is {Triplets}, which needs a start of at least 0", $"Set {nameof(SliceStart)}");
            Fit(!HardOrthonormality || Gamma is null or 0, nameof(Gamma), Gamma, $"{nameof(HardOrthonormality)} leaves no deviation to penalise", $"Leave {nameof(Gamma)} null, or {nameof(HardOrthonormality)} false");
            Fit(Quantization != BaseQuantization.None || QuantizationRounds == 1, nameof(QuantizationRounds), QuantizationRounds, $"{nameof(Quantization)} is {Quantization}", $"Set {nameof(Quantization)} to {BaseQuantization.NF4}, or leave {nameof(QuantizationRounds)} at 1");
            Fit(Triplets == SingularTriplets.Leading || QuantizationRounds == 1, nameof(QuantizationRounds), QuantizationRounds, $"{nameof(Triplets)} is {Triplets}; only the leading triplets can make up for what quantising loses", $"Leave {nameof(QuantizationRounds)} at 1, or {nameof(Triplets)} at {SingularTriplets.Leading}");
            Fit(Method != FineTuningMethod.Full || ComputeType is not (WeightType.BFloat16 or WeightType.Checkpoint), nameof(ComputeType), ComputeType, "full fine-tuning trains every weight in it, and in 16 bits small steps are rounded away", $"Choose {WeightType.Float32}");
            ValidateBudget(RankBudget ?? new RankBudget());
        }

        private void ValidateBudget(RankBudget budget)
        {
            InRange(budget.TargetRank ?? 1, Part(nameof(budget.TargetRank)), value => value >= 1 && (budget.TargetRank is null || value <= RankOrDefault), $"from 1 to {nameof(Rank)}, {RankOrDefault}", "Leave it null for half of Rank");
            InRange(budget.WarmupSteps, Part(nameof(budget.WarmupSteps)), value => value >= 0, "at least 0", "Use 0, as PEFT does");
            InRange(budget.FinalSteps, Part(nameof(budget.FinalSteps)), value => value >= 0, "at least 0", "Use 0, as PEFT does");
            InRange(budget.Interval, Part(nameof(budget.Interval)), value => value >= 1, "at least 1", "Use 1, as PEFT does");
            InRange(budget.Beta1, Part(nameof(budget.Beta1)), value => value is >= 0 and < 1, "at least 0 and below 1", "Use 0.85, as PEFT does");
            InRange(budget.Beta2, Part(nameof(budget.Beta2)), value => value is >= 0 and < 1, "at least 0 and below 1", "Use 0.85, as PEFT does");

            static string Part(string name) => $"{nameof(RankBudget)}.{name}";
        }

        /// <summary>
        /// Whether an option belongs to <see cref="Method"/> and does anything beside what else is set, as SliceStart does only where Triplets
        /// is Slice. Where it does not, it must be left at its default.
        /// </summary>
        /// <param name="name">The option's name, such as <c>nameof(Gamma)</c>.</param>
        public bool HasEffect(string name) => HasOption(name) && HasUseFor(name);

        /// <summary>Whether the method has an option.</summary>
        internal bool HasOption(string name)
        {
            bool sorsa = Method == FineTuningMethod.Sorsa, adaLora = Method == FineTuningMethod.AdaLora;
            return name switch
            {
                nameof(Rank) or nameof(Alpha) or nameof(Dropout) or nameof(Quantization) => Method is not (FineTuningMethod.Full or FineTuningMethod.Partial),
                nameof(Gamma) => sorsa || adaLora,
                nameof(RegularizerReduction) or nameof(Triplets) or nameof(SliceStart) or nameof(HardOrthonormality) => sorsa,
                nameof(RankBudget) => adaLora,
                nameof(QuantizationRounds) => sorsa || Method == FineTuningMethod.Pissa,
                nameof(TargetModules) => Method != FineTuningMethod.Full,
                _ => true,
            };
        }

        /// <summary>Whether an option of the method's does anything beside what else is set; where it does not, it must be left at its default.</summary>
        internal bool HasUseFor(string name) => name switch
        {
            nameof(SliceStart) => Triplets == SingularTriplets.Slice,
            nameof(Gamma) or nameof(RegularizerReduction) => !HardOrthonormality || Method != FineTuningMethod.Sorsa,
            nameof(QuantizationRounds) => Quantization != BaseQuantization.None && Triplets == SingularTriplets.Leading,
            _ => true,
        };

        private void Belongs(bool isSet, string name, object? value)
        {
            if (isSet && !HasOption(name))
            {
                throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{name} is {value}; it does not belong to {nameof(Method)} {Method}. Leave it at its default, or choose a method that has it."), name);
            }
        }

        private static void Fit(bool fits, string name, object? value, string other, string remedy)
        {
            if (!fits)
            {
                throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{name} is {value ?? "null"}, and {other}. {remedy}."), name);
            }
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
