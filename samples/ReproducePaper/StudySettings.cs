using Microsoft.ML.Sorsa;

namespace ReproducePaper;

/// <summary>
/// Everything that decides a number of the study: whoever has these has the study. Written into its folder, and compared.
/// </summary>
internal sealed record StudySettings
{
    /// <summary>
    /// tiny-llama-math, 1.2 million parameters, which the build puts beside the program; its folder describes the task, too.
    /// </summary>
    public static string BundledModel => Path.Combine(AppContext.BaseDirectory, "models", "tiny-llama-math");

    /// <summary>What the numbers are taken from: a name of <see cref="Presets"/>.</summary>
    public required string Preset { get; init; }

    /// <summary>A Hugging Face folder; null: the bundled model.</summary>
    public string? Model { get; init; }

    /// <summary>Rows to train and validate on; null: the bundled arithmetic stories.</summary>
    public string? Train { get; init; }

    public string PromptColumn { get; init; } = "query";

    public string ResponseColumn { get; init; } = "response";

    /// <summary>GSM-8K's rows to ask (question, answer); null: not asked.</summary>
    public string? Gsm8k { get; init; }

    /// <summary>MATH's rows to ask (problem, solution); null: not asked.</summary>
    public string? Math { get; init; }

    /// <summary>General text, to see what is forgotten; null: the bundled model's own kind of text.</summary>
    public string? Text { get; init; }

    /// <summary>Multiple-choice questions (question, choices, answer); null: sums, of the bundled model.</summary>
    public string? Choices { get; init; }

    /// <summary>Keys of <see cref="StudyMethod"/>.</summary>
    public required IReadOnlyList<string> Methods { get; init; }

    /// <summary>Each method's learning rates are those of the bundled task times this.</summary>
    public double RateScale { get; init; } = 1;

    public required int Rank { get; init; }

    /// <summary>Null: the library's, 4e-4.</summary>
    public double? Gamma { get; init; }

    /// <summary>The γ of the table's SORSA.</summary>
    public double UsualGamma => Gamma ?? 4e-4;

    /// <summary>The γ of Figure 3.</summary>
    public required IReadOnlyList<double> Gammas { get; init; }

    /// <summary>Rows that go through the model together.</summary>
    public required int MicroBatch { get; init; }

    /// <summary>Rows of a step are MicroBatch times this.</summary>
    public int Accumulation { get; init; } = 1;

    /// <summary>Optimizer steps of a run; null: once over the rows.</summary>
    public int? Steps { get; init; }

    /// <summary>Steps of a run that only chooses a learning rate; null: as many as the others.</summary>
    public int? TuningSteps { get; init; }

    public required int Rows { get; init; }

    public required int ValidationRows { get; init; }

    /// <summary>Of each set of questions.</summary>
    public required int TestRows { get; init; }

    /// <summary>Characters of the general text, counted from its start.</summary>
    public required int TextLength { get; init; }

    /// <summary>Tokens of a window over it; null: 1,024, or as many as the model has positions.</summary>
    public int? TextWindow { get; init; }

    public required int ChoiceRows { get; init; }

    public required int MaxNewTokens { get; init; }

    public int MaxLength { get; init; } = 512;

    /// <summary>Seeds that choose the learning rates: -1, -2, ... None is used again for what is reported.</summary>
    public required int TuningSeeds { get; init; }

    /// <summary>Seeds of what is reported: 1, 2, ...</summary>
    public required int Seeds { get; init; }

    /// <summary>Seeds of the runs with another γ: 1, 2, ...; at most as many as <see cref="Seeds"/>.</summary>
    public int GammaSeeds => System.Math.Min(Seeds, 3);

    /// <summary>How often a training's matrices are analysed.</summary>
    public required int Analyses { get; init; }

    public required WeightType ComputeType { get; init; }

    /// <summary>Null: the CPU.</summary>
    public int? GpuDeviceId { get; init; }

    /// <summary>As PEFT's comparison has it: text, cut, order, and loss on all tokens.</summary>
    public bool IsPeftProtocol { get; init; }

    public double WeightDecay { get; init; }

    public double WarmupRatio { get; init; } = 0.03;

    /// <summary>SHA-256 of the files that decide a number, by what they are for; of weights their sizes.</summary>
    public IReadOnlyDictionary<string, string> Checksums { get; init; } = new SortedDictionary<string, string>(StringComparer.Ordinal);

    public string ModelFolder => Model ?? BundledModel;

    public string ModelName => Path.GetFileName(Path.TrimEndingDirectorySeparator(ModelFolder));

    /// <summary>Rows of a step.</summary>
    public int StepRows => MicroBatch * Accumulation;

    /// <summary>Optimizer steps of a run that is reported.</summary>
    public int WholeSteps => Steps ?? ((Rows + StepRows - 1) / StepRows);

    /// <summary>Optimizer steps of a run that chooses a learning rate.</summary>
    public int StepsToTune => System.Math.Min(TuningSteps ?? WholeSteps, WholeSteps);

    /// <summary>Whether some methods compute in float32 and others do not, so that the model before is asked in both types.</summary>
    public bool HasTwoTypes =>
        ComputeType != WeightType.Float32 && Methods.Any(method => StudyMethod.Find(method)!.TrainsEveryWeight);

    /// <summary>As the paper's authors ask and judge.</summary>
    public bool IsPapers => Preset is Presets.Llama2 or Presets.Mistral;

    public bool IsBundledTask => Train is null;

    /// <summary>Refuses what does not fit together, before anything is trained.</summary>
    /// <exception cref="ArgumentException">Names the argument and the remedy.</exception>
    public void Verify()
    {
        if (Preset != Presets.Bundled && (Model is null || Train is null))
        {
            throw new ArgumentException($"{Preset} trains a model on rows of your own: name both, with --model and --train.");
        }

        if (Preset == Presets.Bundled && Model is not null)
        {
            throw new ArgumentException(
                "--model is given without rows for it: name them with --train. The bundled stories belong to the bundled model.");
        }

        (string Name, string? Path)[] files = [("--gsm8k", Gsm8k), ("--math", Math), ("--text", Text), ("--choices", Choices)];
        if (Train is null && Array.Find(files, file => file.Path is not null) is { Name: { } unused })
        {
            throw new ArgumentException(
                $"{unused} is given without a model and rows for it: name them with --model and --train. The bundled model has its own.");
        }

        if (Train is not null && Gsm8k is null && Math is null)
        {
            throw new ArgumentException("There is nothing to ask the models: name test rows with --gsm8k or --math.");
        }
    }
}
