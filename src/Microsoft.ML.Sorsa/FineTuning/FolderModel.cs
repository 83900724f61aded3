using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Persistence;
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
    /// <summary>What beside the weights decides what a model computes from a text. Studies keep a hash that depends on the order.</summary>
    private static readonly string[] s_files =
    [
        DecoderConfig.FileName, TokenizerFiles.GenerationConfig, TokenizerFiles.TokenizerJson, TokenizerFiles.TokenizerModel,
        TokenizerFiles.TokenizerConfig, TokenizerFiles.SpecialTokensMap, TokenizerFiles.ChatTemplate,
    ];

    private readonly string _folder;
    private readonly DecoderConfig _config;
    private readonly Checkpoint _checkpoint;
    private readonly ScalarType _computeType;
    private readonly ScalarType _savedType;
    private readonly ModuleWeights? _object;
    private readonly string? _fingerprint;
    private CausalLM? _shared;

    /// <param name="folder">In the Hugging Face layout.</param>
    /// <param name="config">Its config.json.</param>
    /// <param name="computeType">What to compute in.</param>
    /// <param name="savedType">What merged weights are rounded to.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="weights">Those of a model object; null: the folder's.</param>
    /// <param name="fingerprint">What names the base in files of adapters; null: the weights themselves.</param>
    /// <exception cref="ArgumentException">The tokenizer is another model's; float16 is what would be computed in.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt, or the weights are not those of config.json.</exception>
    public FolderModel(
        string folder, DecoderConfig config, WeightType computeType, WeightType savedType, Device device, ModuleWeights? weights = null,
        string? fingerprint = null)
    {
        _folder = folder;
        _config = config;
        Device = device;
        Tokenizer = TextTokenizer.Load(folder);
        TextModel.VerifyTokenizer(config, Tokenizer, folder);
        EndTokenId = EndOf(config, Tokenizer, folder);
        (_object, _fingerprint) = (weights, fingerprint);
        _checkpoint = weights is null ? Checkpoint.OpenFolder(folder) : Checkpoint.Over(weights.Tensors, "the model object");
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

    /// <summary>The token that ends a text: the tokenizer's own, and config.json's first only where it names none.</summary>
    /// <exception cref="InvalidDataException">Neither names one.</exception>
    public static int EndOf(DecoderConfig config, ITextTokenizer tokenizer, string folder) =>
        tokenizer.EosTokenId ?? (config.EosTokenIds.Count > 0 ? config.EosTokenIds[0] : throw new InvalidDataException(
            $"Neither the tokenizer nor config.json in '{folder}' names the token that ends a text. " +
            "Set eos_token in tokenizer_config.json."));

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
            var adapters = AdapterSet.Inject(model, targetModules, method, cancellationToken);
            return new AdaptedNetwork(model, adapters, _savedType, _object, _fingerprint ?? model.Fingerprint);
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
        foreach (string name in s_files.Where(name => File.Exists(Path.Combine(_folder, name))))
        {
            byte[] content = File.ReadAllBytes(Path.Combine(_folder, name));
            hash.AppendData(Encoding.UTF8.GetBytes(FormattableString.Invariant($"{name} {content.Length} ")));
            hash.AppendData(content);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private sealed class AdaptedNetwork(
        CausalLM model, AdapterSet adapters, ScalarType savedType, ModuleWeights? weights, string fingerprint)
        : AdaptedModel(adapters, savedType)
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

        protected override AdapterWeights? CopyAdapters() => AdapterWeights.Of(Adapters, fingerprint);

        protected override FineTunedModel HandOver()
        {
            model.RoundTo(SavedType);
            weights?.Write(model.NamedWeights);
            _handedOver = true;
            return new FineTunedModel(new CachedModel(model), model, SavedType);
        }
    }
}
