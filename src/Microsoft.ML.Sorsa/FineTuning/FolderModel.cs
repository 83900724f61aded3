using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tokenization;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>A model of ours in a folder: its files' headers and its tokenizer are read and fit together.</summary>
internal sealed class FolderModel : IPretrainedModel
{
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
    private readonly DecoderConfig _config;
    private readonly Checkpoint _checkpoint;
    private readonly ScalarType _computeType;
    private readonly ScalarType _savedType;
    private CausalLM? _shared;

    /// <param name="folder">In the Hugging Face layout.</param>
    /// <param name="config">Its config.json.</param>
    /// <param name="computeType">What to compute in.</param>
    /// <param name="savedType">What merged weights are rounded to.</param>
    /// <param name="device">Where to compute.</param>
    /// <exception cref="ArgumentException">The tokenizer is another model's; float16 is what would be computed in.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt, or the weights are not those of config.json.</exception>
    public FolderModel(string folder, DecoderConfig config, WeightType computeType, WeightType savedType, Device device)
    {
        _folder = folder;
        _config = config;
        Device = device;
        Tokenizer = TextTokenizer.Load(folder, config.Spec.VocabularySize);
        EndTokenId = Tokenizer.EosTokenId ?? (config.EosTokenIds.Count > 0 ? config.EosTokenIds[0] : throw new InvalidDataException(
            $"Neither the tokenizer nor config.json in '{folder}' names the token that ends a text. " +
            "Set eos_token in tokenizer_config.json."));
        if (EndTokenId >= config.Spec.VocabularySize)
        {
            throw new InvalidDataException(
                $"The token that ends a text in '{folder}', {Tokenizer.EosToken}, is token {EndTokenId}, and the model has the tokens "
                + $"0 to {config.Spec.VocabularySize - 1} (vocab_size {config.Spec.VocabularySize}), so that it cannot learn to end a "
                + "text. Name another as eos_token, or give the model a row for it (resize_token_embeddings in transformers).");
        }

        _checkpoint = Checkpoint.OpenFolder(folder);
        try
        {
            CausalLM.Verify(config, _checkpoint);
            _computeType = computeType.ToScalarType(_checkpoint.StoredType);
            _savedType = savedType.ToScalarType(_checkpoint.StoredType);
            if (_computeType == ScalarType.Float16)
            {
                throw new ArgumentException(
                    $"ComputeType is {computeType}, and the checkpoint is stored in Float16, in which small gradients vanish. "
                    + "Train in Float32 or BFloat16; SavedType may still be Float16.", nameof(computeType));
            }
        }
        catch
        {
            _checkpoint.Dispose();
            throw;
        }
    }

    public ITextTokenizer Tokenizer { get; }

    public int EndTokenId { get; }

    public int MaxPositions => _config.Spec.MaxPositions;

    public Device Device { get; }

    /// <summary>
    /// Loads the weights now, for many trainings, of which each has adapters of its own over the same bytes. Gives what names the base:
    /// its weights, and the files beside them that decide what it computes.
    /// </summary>
    public string LoadShared()
    {
        _shared = CausalLM.Load(_config, _checkpoint, _computeType, Device);
        return $"{_shared.Fingerprint} {FilesFingerprint()}";
    }

    public AdaptedModel Adapt(IReadOnlyList<string> targetModules, AdapterMethod method, CancellationToken cancellationToken)
    {
        CausalLM model = _shared?.Share() ?? CausalLM.Load(_config, _checkpoint, _computeType, Device);
        try
        {
            return new AdaptedNetwork(model, AdapterSet.Inject(model, targetModules, method, cancellationToken), _savedType);
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
        _checkpoint.Dispose();
    }

    private string FilesFingerprint()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Append(DecoderConfig.FileName, File.ReadAllBytes(Path.Combine(_folder, DecoderConfig.FileName)));
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

    private sealed class AdaptedNetwork(CausalLM model, AdapterSet adapters, ScalarType savedType) : AdaptedModel(adapters, savedType)
    {
        private bool _handedOver;

        public override ITrainedModel Model => model;

        public override void Dispose()
        {
            Adapters.Discard();
            if (!_handedOver)
            {
                model.Dispose();
            }
        }

        protected override AdapterWeights? CopyAdapters() => AdapterWeights.Of(Adapters, model.Fingerprint);

        protected override FineTunedModel HandOver()
        {
            model.RoundTo(SavedType);
            _handedOver = true;
            return new FineTunedModel(new CachedModel(model), model, SavedType);
        }
    }
}
