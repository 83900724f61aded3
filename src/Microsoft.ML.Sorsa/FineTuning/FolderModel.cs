using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tokenization;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>
/// A model of ours in a folder: its files' headers and its tokenizer are read and fit together. Its weights are the folder's, or those of a
/// model object, which is trained on copies and written at the end.
/// </summary>
internal sealed class FolderModel : IPretrainedModel
{
    /// <summary>What errors call the place of an object's weights.</summary>
    public const string ObjectName = "the model object";

    /// <summary>
    /// What beside the configuration and the weights decides what a model computes from a text. Studies keep a hash that depends on the
    /// order: what is new stands behind.
    /// </summary>
    private static readonly string[] s_files =
    [
        TokenizerFiles.GenerationConfig, TokenizerFiles.TokenizerJson, TokenizerFiles.TokenizerModel, TokenizerFiles.TokenizerConfig,
        TokenizerFiles.SpecialTokensMap, TokenizerFiles.ChatTemplate, TokenizerFiles.AddedTokens, TokenizerFiles.ChatTemplateJson,
        TokenizerFiles.VocabJson, TokenizerFiles.MergesTxt,
    ];

    private readonly string _folder;
    private readonly StoredDecoder _stored;
    private readonly ScalarType _storedType;
    private readonly ScalarType _computeType;
    private readonly ScalarType _savedType;
    private readonly ModuleWeights? _object;
    private readonly bool _isReadWhole;
    private CausalLM? _shared;
    private string _filesFingerprint = "";

    /// <summary>Reads and checks everything that a training needs, to its end: a training that fails at its end is lost.</summary>
    /// <param name="settings">The folder, and the types to compute and to save in.</param>
    /// <param name="config">Its config.json.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="weights">Those of a model object; null: the folder's.</param>
    /// <exception cref="ArgumentException">The tokenizer is another model's; float16 is what would be computed in.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt, or the weights are not those of config.json.</exception>
    /// <exception cref="ArithmeticException">A weight is too large for the type to save in.</exception>
    public FolderModel(FineTuningSettings settings, DecoderConfig config, Device device, ModuleWeights? weights = null)
    {
        string folder = settings.ModelFolder;
        _folder = folder;
        Origin = new ModelOrigin(BaseModelName.Of(folder, config.Json), ModelLicense.Of(folder));
        Device = device;
        TextTokenizer tokenizer = TextTokenizer.Load(folder, config.Spec.VocabularySize);
        Tokenizer = tokenizer;
        _ = GenerationConfig.EndTokens(tokenizer.Files);
        EndTokenId = EndOf(config, tokenizer, folder);
        _object = weights;
        _isReadWhole = weights is null && !settings.MapWeights;
        Checkpoint checkpoint = weights is null ? Checkpoint.OpenFolder(folder) : Checkpoint.Over(weights.Tensors, ObjectName);
        try
        {
            _stored = StoredDecoder.Match(config, checkpoint);
            _storedType = _stored.StoredType;
            ComputeType = Choose(settings);
            _computeType = ComputeType.Type;
            _savedType = settings.SavedType.ToScalarType(_stored.StoredType);
            if (_computeType == ScalarType.Float16)
            {
                throw new ArgumentException(
                    $"ComputeType is {settings.ComputeType}, and the checkpoint is stored in Float16, in which small gradients vanish. "
                    + "Train in Float32 or BFloat16; SavedType may still be Float16.", nameof(settings));
            }

            if (!_isReadWhole)
            {
                VerifyRange(checkpoint);
            }
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    public ITextTokenizer Tokenizer { get; }

    public int EndTokenId { get; }

    public int MaxPositions => _stored.Config.Spec.MaxPositions;

    public Device Device { get; }

    public ModelOrigin? Origin { get; }

    public ComputeTypeChoice? ComputeType { get; }

    /// <summary>The token that ends a text: the tokenizer's own, and config.json's first only where it names none.</summary>
    /// <exception cref="InvalidDataException">Neither names one, or the model has no row for it.</exception>
    public static int EndOf(DecoderConfig config, ITextTokenizer tokenizer, string folder)
    {
        int end = tokenizer.EosTokenId ?? (config.EosTokenIds.Count > 0 ? config.EosTokenIds[0] : throw new InvalidDataException(
            $"Neither the tokenizer nor config.json in '{folder}' names the token that ends a text. " +
            "Set eos_token in tokenizer_config.json."));
        return end < config.Spec.VocabularySize ? end : throw new InvalidDataException(
            $"The token that ends a text in '{folder}', {tokenizer.EosToken}, is token {end}, and the model has the tokens "
            + $"0 to {config.Spec.VocabularySize - 1} (vocab_size {config.Spec.VocabularySize}), so that it cannot learn to end a "
            + "text. Name another as eos_token, or give the model a row for it (resize_token_embeddings in transformers).");
    }

    /// <summary>Loads the weights now, for many trainings, of which each has adapters of its own over the same bytes.</summary>
    /// <param name="settings">Those that the model was opened with.</param>
    /// <exception cref="InsufficientMemoryException">The weights alone are more than what is free.</exception>
    public void LoadShared(FineTuningSettings settings)
    {
        _filesFingerprint = FilesFingerprint();
        if (settings.MemoryCheck && Sizes(settings) is { OwnsWeights: true } sizes)
        {
            DeviceMemory.Require(sizes.WeightBytes, Device, "The weights of the model that trainings share take");
        }

        _shared = Load();
    }

    /// <summary>Names the base, once it is shared: its weights, and the files beside them that decide what it computes.</summary>
    public string SharedFingerprint() => $"{Shared.Fingerprint} {_filesFingerprint}";

    /// <summary>Whether a name, that version 0.1 gave or this one, is of the base.</summary>
    public bool HasSharedFingerprint(string fingerprint) =>
        fingerprint.Split(' ') is [var weights, var files] && files == _filesFingerprint && Shared.HasFingerprint(weights);

    public string FilesFingerprint()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Append(DecoderConfig.FileName, RegularFile.ReadAllBytes(Path.Combine(_folder, DecoderConfig.FileName)));
        foreach (string name in s_files)
        {
            Append(name, Tokenizer.Files!.Find(name));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());

        void Append(string name, byte[]? content)
        {
            if (content is not null)
            {
                hash.AppendData(Encoding.UTF8.GetBytes(FormattableString.Invariant($"{name} {content.Length} ")));
                hash.AppendData(content);
            }
        }
    }

    /// <summary>What many trainings share, or a model object has, is no memory of one of them.</summary>
    public ModelSizes? Sizes(FineTuningSettings settings)
    {
        ScalarType type = _shared is null ? Choose(settings).Type : _computeType;
        bool isShared = _shared is not null || (type == _storedType && (_object is not null || (IsCpu && settings.MapWeights)));
        return new ModelSizes(_stored.Config.Spec, type, settings.SavedType.ToScalarType(_storedType), !isShared, IsCpu)
        {
            ReadSize = IsCpu && !isShared && _object is null && !settings.MapWeights ? ModelSizes.Size(_storedType) : 0,
        };
    }

    public AdaptedModel Adapt(
        IReadOnlyList<string> targetModules, AdapterMethod method, bool isNamed, CancellationToken cancellationToken)
    {
        CausalLM model = _shared?.Share() ?? Load();
        try
        {
            // Before an adapter takes a part of a weight.
            string? fingerprint = isNamed || method.Method?.Restore is not null ? model.Fingerprint : null;
            AdapterSet adapters = AdapterSet.Inject(model, targetModules, method, cancellationToken);
            return new AdaptedNetwork(model, adapters, _savedType, fingerprint, Origin!.Name, _object);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _shared?.Dispose();
        _stored.Checkpoint.Dispose();
    }

    /// <summary>
    /// What is read whole was mapped for a moment, for its headers alone: whether a training fits in memory is known before anything is
    /// loaded.
    /// </summary>
    private CausalLM Load()
    {
        if (!_isReadWhole)
        {
            return CausalLM.Load(_stored, _computeType, Device);
        }

        _stored.Checkpoint.Dispose();
        using Checkpoint read = Checkpoint.OpenFolder(_folder, map: false);
        StoredDecoder stored = StoredDecoder.Match(_stored.Config, read);
        VerifyRange(read);
        return CausalLM.Load(stored, _computeType, Device);
    }

    private void VerifyRange(Checkpoint checkpoint)
    {
        foreach ((string name, Tensor weight) in checkpoint.Tensors
            .Where(named => !WeightsFingerprint.Survives(named.Value.dtype, _savedType)))
        {
            SavedRange.Verify(name, weight, _savedType);
        }
    }

    private ComputeTypeChoice Choose(FineTuningSettings settings) => ComputeTypeChoice.Of(
        settings.ComputeType, _stored.StoredType, _stored.Config.Spec, Device,
        settings.TrainsEveryWeight);

    private bool IsCpu => Device.type == TorchSharp.DeviceType.CPU;

    private CausalLM Shared => _shared ?? throw new InvalidOperationException("The weights are not loaded.");

    private sealed class AdaptedNetwork(
        CausalLM model, AdapterSet adapters, ScalarType savedType, string? fingerprint, string baseName, ModuleWeights? weights)
        : AdaptedModel(adapters, savedType)
    {
        private bool _handedOver;

        public override ITrainedModel Model => model;

        public override string? BaseFingerprint => fingerprint;

        public override void Dispose()
        {
            Adapters.Discard();
            if (!_handedOver)
            {
                model.Dispose();
            }
        }

        protected override AdapterWeights? CopyAdapters() =>
            AdapterWeights.Of(Adapters, fingerprint) is { } trained ? trained with { BaseName = baseName } : null;

        protected override FineTunedModel HandOver()
        {
            model.RoundTo(SavedType);
            weights?.Write(model.NamedWeights);
            _handedOver = true;
            return new FineTunedModel(new CachedModel(model), model, SavedType);
        }
    }
}
