using Microsoft.ML.Sorsa;

namespace ReproducePaper;

/// <summary>Numbers to begin with; the command line may change them.</summary>
internal static class Presets
{
    public const string Bundled = "bundled", Files = "files", Llama2 = "llama2-7b", Mistral = "mistral-7b", Peft = "peft-metamath";

    public static IReadOnlyList<string> Names { get; } = [Bundled, Files, Llama2, Mistral];

    public static StudySettings Get(string name) => name switch
    {
        Bundled => s_bundled,
        Files => s_files,
        Llama2 => Paper(Llama2, rank: 128),
        Mistral => Paper(Mistral, rank: 64),
        Peft => s_peft,
        _ => throw new ArgumentException($"There is no preset '{name}'; choose one of {string.Join(", ", Names)}.", nameof(name)),
    };

    /// <summary>The bundled model and its task: minutes, on two cores.</summary>
    private static readonly StudySettings s_bundled = new()
    {
        Preset = Bundled,
        Methods = [.. StudyMethod.All.Select(method => method.Key)],
        Rank = 8,
        Gammas = [0, 4e-3, 4e-2, 0.4],
        MicroBatch = 16,
        Steps = 40,
        Rows = 1000,
        ValidationRows = 100,
        TestRows = 200,
        TextLength = 20_000,

        // It was trained on sequences of 256 tokens, and knows no position beyond them.
        TextWindow = 256,
        ChoiceRows = 200,
        MaxNewTokens = 64,
        TuningSeeds = 2,
        Seeds = 4,
        Analyses = 5,
        ComputeType = WeightType.Float32,
    };

    /// <summary>A small model and rows of one's own: SmolLM2 and GSM-8K, for instance.</summary>
    private static readonly StudySettings s_files = s_bundled with
    {
        Preset = Files,
        PromptColumn = "question",
        ResponseColumn = "answer",
        RateScale = 0.2,
        MicroBatch = 8,
        Accumulation = 2,
        Steps = null,
        TextLength = 100_000,
        TextWindow = null,
        MaxNewTokens = 256,
        TuningSeeds = 1,
        Seeds = 3,
    };

    /// <summary>
    /// Tables 2 and 3 of the paper, for a GPU: 100,000 rows of MetaMathQA once, 128 rows a step; rates are sought around theirs.
    /// </summary>
    private static StudySettings Paper(string name, int rank) => new()
    {
        Preset = name,
        Methods = [.. StudyMethod.All.Select(method => method.Key)],

        // SORSA's 2e-3 on the bundled task is the paper's 3e-5 here.
        RateScale = 3e-5 / 2e-3,
        Rank = rank,
        Gamma = 4e-4,
        Gammas = [0, 4e-3, 4e-2, 0.4],
        MicroBatch = 8,
        Accumulation = 16,
        TuningSteps = 100,
        Rows = 100_000,
        ValidationRows = 500,
        TestRows = int.MaxValue,
        TextLength = 400_000,
        ChoiceRows = int.MaxValue,
        MaxNewTokens = 1024,
        TuningSeeds = 1,
        Seeds = 3,
        Analyses = 8,
        ComputeType = WeightType.BFloat16,
    };

    /// <summary>huggingface/peft's method_comparison/MetaMathQA: Llama-3.2-3B, 20,000 rows, batches of 4.</summary>
    private static readonly StudySettings s_peft = new()
    {
        Preset = Peft,
        IsPeftProtocol = true,
        Methods = [.. StudyMethod.All.Select(method => method.Key)],
        RateScale = 1e-4 / 1e-2,
        Rank = 32,
        Gammas = [],
        MicroBatch = 4,
        TuningSteps = 250,
        Rows = 20_000,
        ValidationRows = 50,
        TestRows = int.MaxValue,
        TextLength = 400_000,
        ChoiceRows = int.MaxValue,
        MaxNewTokens = 300,
        TuningSeeds = 1,
        Seeds = 1,
        Analyses = 4,
        ComputeType = WeightType.BFloat16,
        WeightDecay = 0.1,
        WarmupRatio = 0.1,
    };
}
