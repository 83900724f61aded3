using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// A model folder that is opened once and fine-tuned many times, as a sweep or a comparison of methods does it. The weights are mapped
/// once; each matrix is decomposed once, at the largest rank, and kept on disk; rows are turned into tokens once for each pair of lengths.
/// Made by <c>mlContext.Sorsa().OpenBaseModel(...)</c>. Several trainings may run at a time, each on a thread of its own; those with
/// <see cref="SorsaFineTuningTrainer.Options.Ranks"/> one after the other.
/// </summary>
public sealed class SorsaBaseModel : IDisposable
{
    private readonly IHost _host;
    private readonly FineTuningSettings _settings;
    private readonly DecoderConfig _config;
    private readonly FolderModel _folder;
    private readonly DecompositionCache _decompositions;
    private readonly EncodedRows _rows = new();
    private int _trainings;
    private bool _disposed;

    internal SorsaBaseModel(IHostEnvironment env, SorsaFineTuningTrainer.Options options, int largestRank, string decompositionFolder)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(largestRank, 1);
        ArgumentException.ThrowIfNullOrWhiteSpace(decompositionFolder);
        _host = env.Register(nameof(SorsaBaseModel));
        _settings = options.ToSettings();
        _settings.VerifyForFolder();
        _decompositions = new DecompositionCache(Path.GetFullPath(decompositionFolder), largestRank, _settings.Training.Seed);
        _config = DecoderConfig.Load(_settings.ModelFolder);
        _folder = new FolderModel(_settings, _config, TorchDevice.Of(env));
        try
        {
            _folder.LoadShared(_settings);
        }
        catch
        {
            _folder.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Names the model by its content: a hash of every weight's values, the same for whatever type they are stored in, then one of the
    /// configuration and the tokenizer's files. Every weight is looked at when it is first asked for.
    /// </summary>
    public string Fingerprint => _folder.SharedFingerprint();

    /// <summary>What the trainings so far did not have to do again.</summary>
    public SharedWork SharedWork => new()
    {
        Decompositions = _decompositions.Made,
        DecompositionsReused = _decompositions.Found,
        DecompositionTimeSaved = _decompositions.Saved,
        RowsTokenized = _rows.Encoded,
        RowsReused = _rows.Reused,
        ModelLoadsSaved = Math.Max(0, _trainings - 1),
    };

    /// <summary>Whether a name is this model's: <see cref="Fingerprint"/>, or the one that version 0.1 gave it.</summary>
    /// <param name="fingerprint">What a study holds.</param>
    public bool HasFingerprint(string fingerprint)
    {
        ArgumentNullException.ThrowIfNull(fingerprint);
        return _folder.HasSharedFingerprint(fingerprint);
    }

    /// <summary>Trains on rows, keeps the weights of the lowest loss on others, and merges.</summary>
    /// <param name="options">
    /// Everything that can be set. ModelFolder, ComputeType, AllowTf32, SavedType and MapWeights must be those that the model was opened
    /// with, and Rank at most the largest one. The randomised decomposition draws from the Seed that the model was opened with.
    /// </param>
    /// <param name="trainData">Prompts and responses. The same list again is not tokenised again: do not change it.</param>
    /// <param name="validationData">Others, which are not trained on; null: none.</param>
    /// <param name="evaluations">
    /// How often the validation loss is computed where EvaluationSteps is null; null: once per epoch. At least 1.
    /// </param>
    /// <returns>
    /// The fine-tuned model, which is the caller's; and L_reg of Eq. (9) of what was trained, at its end: null for methods without singular
    /// vectors.
    /// </returns>
    /// <exception cref="ArgumentException">
    /// An option is outside its range, does not fit the model, or is not what the model was opened with. With <c>ParamName</c>
    /// "trainData" or "validationData": a row is longer than the model's positions.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// No row has a prompt and a response; the ranks of the options train already, or one of them failed.
    /// </exception>
    /// <exception cref="InsufficientMemoryException">
    /// It would not fit in memory: see <see cref="SorsaFineTuningTrainer.Options.MemoryCheck"/>.
    /// </exception>
    /// <exception cref="ArithmeticException">The loss or a gradient is not finite.</exception>
    /// <exception cref="OperationCanceledException">The options' token was cancelled.</exception>
    public (SorsaTransformer Model, double? Orthonormality) FineTune(
        SorsaFineTuningTrainer.Options options,
        IReadOnlyList<(string Prompt, string Response)> trainData,
        IReadOnlyList<(string Prompt, string Response)>? validationData = null,
        int? evaluations = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        return TrainingGroup.Run(options.Ranks, group => FineTune(group, options, trainData, validationData, evaluations));
    }

    /// <summary>Frees the weights, when no training is under way. Models that were trained keep their own.</summary>
    public void Dispose()
    {
        _disposed = true;
        _folder.Dispose();
    }

    private (SorsaTransformer Model, double? Orthonormality) FineTune(
        TrainingGroup group,
        SorsaFineTuningTrainer.Options options,
        IReadOnlyList<(string Prompt, string Response)> trainData,
        IReadOnlyList<(string Prompt, string Response)>? validationData,
        int? evaluations)
    {
        ArgumentNullException.ThrowIfNull(trainData);
        if (evaluations is { } count)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(count, 1, nameof(evaluations));
        }

        ObjectDisposedException.ThrowIf(_disposed, this);
        FineTuningSettings settings = Verified(options, validationData is not null);
        Interlocked.Increment(ref _trainings);
        using IChannel channel = _host.Start("Fine-tuning");
        var run = new FineTuningRun(channel, settings, _folder)
        {
            Group = group,
            Decomposition = _decompositions,
            Evaluations = evaluations,
        };
        var prompts = new PromptEncoder(_folder.Tokenizer, settings.PromptTemplate, settings.MaxPromptLength);
        (EncodedExamples train, EncodedExamples? validation) = _rows.Of(
            trainData,
            validationData,
            EncodedRows.Settings.Of(settings),
            (rows, argument, trained) => run.Encode(prompts, rows, argument, trained));
        FineTunedModel model = run.Train(train, validation);
        return (SorsaTransformer.Over(_host, model, prompts, settings), model.Orthonormality);
    }

    private FineTuningSettings Verified(SorsaFineTuningTrainer.Options options, bool hasValidationRows)
    {
        FineTuningSettings settings = options.ToSettings();
        settings.VerifyForFolder();
        settings.VerifyFor(_config);
        Same(settings.ModelFolder, _settings.ModelFolder, nameof(settings.ModelFolder));
        Same(settings.ComputeType, _settings.ComputeType, nameof(settings.ComputeType));
        Same(settings.Training.AllowTf32, _settings.Training.AllowTf32, nameof(settings.Training.AllowTf32));
        Same(settings.SavedType, _settings.SavedType, nameof(settings.SavedType));
        Same(settings.MapWeights, _settings.MapWeights, nameof(settings.MapWeights));
        OptionRange.Fit(
            !settings.TrainsEveryWeight || _folder.ComputeType is not { IsNarrow: true },
            nameof(settings.ComputeType), settings.ComputeType,
            $"the model was opened in 16 bits, in which {settings.Method.Method} would lose small steps",
            $"Open another model with {WeightType.Float32}, or with {WeightType.Auto} and Method {settings.Method.Method}");
        if (!hasValidationRows)
        {
            settings.Training.VerifyWithoutValidationRows();
        }

        return settings;
    }

    private static void Same<T>(T value, T opened, string name)
    {
        if (!EqualityComparer<T>.Default.Equals(value, opened))
        {
            throw new ArgumentException(
                $"{name} is {value}, and the model was opened with {opened}. Leave it at that, or open another model.", name);
        }
    }
}

/// <summary>What trainings of one <see cref="SorsaBaseModel"/> did once instead of every time.</summary>
public sealed record SharedWork
{
    /// <summary>Matrices that were decomposed, at the largest rank that any training can ask for.</summary>
    public required int Decompositions { get; init; }

    /// <summary>Decompositions that were found on disk instead.</summary>
    public required int DecompositionsReused { get; init; }

    /// <summary>The time that those took when they were made.</summary>
    public required TimeSpan DecompositionTimeSaved { get; init; }

    /// <summary>Rows that were turned into tokens.</summary>
    public required long RowsTokenized { get; init; }

    /// <summary>Rows that were in tokens already.</summary>
    public required long RowsReused { get; init; }

    /// <summary>Trainings that did not load the model anew.</summary>
    public required int ModelLoadsSaved { get; init; }
}
