using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Persistence;
using Microsoft.ML.Sorsa.Tokenization;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>A model folder, opened: its files' headers and its tokenizer are read and fit together; the weights are loaded when they are asked for, once.</summary>
internal sealed class OpenedFolder : IDisposable
{
    /// <summary>What beside the weights decides what a model computes from a text.</summary>
    private static readonly string[] s_files = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"];

    private readonly Device _device;
    private readonly Checkpoint _checkpoint;
    private readonly ScalarType _computeType;

    public OpenedFolder(SorsaFineTuningTrainer.Options options, DecoderConfig config, Device device)
    {
        Config = config;
        _device = device;
        Tokenizer = TextTokenizer.Load(options.ModelFolder);
        TextModel.VerifyTokenizer(config, Tokenizer, options.ModelFolder);
        EndTokenId = Tokenizer.EosTokenId ?? (config.EosTokenIds.Count > 0 ? config.EosTokenIds[0] : throw new InvalidDataException(
            $"Neither the tokenizer nor config.json in '{options.ModelFolder}' names the token that ends a text. Set eos_token in tokenizer_config.json."));
        FilesFingerprint = Fingerprint(options.ModelFolder);
        _checkpoint = Checkpoint.OpenFolder(options.ModelFolder);
        try
        {
            CausalLM.Verify(config, _checkpoint);
            _computeType = options.ComputeType.ToScalarType(_checkpoint.StoredType);
            SavedType = options.SavedType.ToScalarType(_checkpoint.StoredType);
            if (_computeType == ScalarType.Float16)
            {
                throw options.NoFloat16();
            }
        }
        catch
        {
            _checkpoint.Dispose();
            throw;
        }
    }

    public DecoderConfig Config { get; }

    public TextTokenizer Tokenizer { get; }

    /// <summary>The token that ends a text.</summary>
    public int EndTokenId { get; }

    /// <summary>What merged weights are rounded to.</summary>
    public ScalarType SavedType { get; }

    /// <summary>SHA-256 over the configuration and the tokenizer's files.</summary>
    public string FilesFingerprint { get; }

    /// <summary>Takes the weights out.</summary>
    public CausalLM Load() => CausalLM.Load(Config, _checkpoint, _computeType, _device);

    public void Dispose() => _checkpoint.Dispose();

    private static string Fingerprint(string folder)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string name in s_files.Where(name => File.Exists(Path.Combine(folder, name))))
        {
            byte[] content = File.ReadAllBytes(Path.Combine(folder, name));
            hash.AppendData(Encoding.UTF8.GetBytes(FormattableString.Invariant($"{name} {content.Length} ")));
            hash.AppendData(content);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
