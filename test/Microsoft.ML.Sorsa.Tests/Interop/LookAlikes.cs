using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>
/// After GenAI's LlamaForCausalLM: its head is a Linear, and useCache false takes the cache away. A tied head is a copy of the embedding
/// in a module that is not registered.
/// </summary>
internal class LlamaLookAlike : nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput>
{
    [ComponentName(Name = "lm_head")]
    private readonly Linear _head;

    [ComponentName(Name = "model")]
    private readonly LookAlikeDecoder _model;

    public LlamaLookAlike(DecoderSpec spec)
        : base(nameof(LlamaLookAlike))
    {
        _model = new LookAlikeDecoder(spec, keepsCache: false);
        if (spec.TieWordEmbeddings)
        {
            RegisterComponents();
            _head = nn.Linear(spec.HiddenSize, spec.VocabularySize, hasBias: false);
        }
        else
        {
            _head = nn.Linear(spec.HiddenSize, spec.VocabularySize, hasBias: false);
            RegisterComponents();
        }
    }

    public Parameter HeadWeight => _head.weight!;

    public override CausalLookAlikeOutput forward(CausalLookAlikeInput input) =>
        new(_head.forward(_model.forward(input)).to(ScalarType.Float32));

    /// <summary>As GenAI's FromPretrained does in the end, and nothing else.</summary>
    public void TieWordEmbeddings(DecoderSpec spec)
    {
        if (!spec.TieWordEmbeddings)
        {
            return;
        }

        Tensor embedding = _model.Embedding.weight!;
        _head.to(embedding.dtype);
        using var noGrad = no_grad();
        _head.weight!.copy_(embedding);
    }
}

/// <summary>
/// After GenAI's MistralForCausalLM: its head's weight is a buffer too, the cache stays whatever useCache says, and the sliding window is a
/// token too wide.
/// </summary>
internal class MistralLookAlike : nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput>
{
    [ComponentName(Name = "lm_head")]
    private readonly BufferLinear _head;

    [ComponentName(Name = "model")]
    private readonly LookAlikeDecoder _model;

    public MistralLookAlike(DecoderSpec spec)
        : base(nameof(MistralLookAlike))
    {
        _model = new LookAlikeDecoder(spec, keepsCache: true);
        _head = new BufferLinear(spec.HiddenSize, spec.VocabularySize);
        RegisterComponents();
    }

    public override CausalLookAlikeOutput forward(CausalLookAlikeInput input) =>
        new(_head.forward(_model.forward(input)).to(ScalarType.Float32));
}

/// <summary>The two, with weights.</summary>
internal static class LookAlikes
{
    /// <summary>For <see cref="DynamicDataAttribute"/>: llama, mistral.</summary>
    public static IEnumerable<object[]> Names => [["llama"], ["mistral"]];

    public static nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> Create(string name, DecoderSpec spec) =>
        name == "llama" ? new LlamaLookAlike(spec) : new MistralLookAlike(spec);

    /// <summary>Small random weights; the same seed gives both classes the same.</summary>
    public static nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> Random(string name, DecoderSpec spec, ulong seed = 11)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(seed);
        nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> model = Create(name, spec);
        foreach ((string key, Tensor weight) in model.state_dict().OrderBy(named => named.Key, StringComparer.Ordinal))
        {
            weight.copy_(
                (randn(weight.shape, generator: generator) * 0.3) + (key.EndsWith("norm.weight", StringComparison.Ordinal) ? 1 : 0));
            weight.DetachFromDisposeScope();
        }

        (model as LlamaLookAlike)?.TieWordEmbeddings(spec);
        return model;
    }

    /// <summary>The weights of a Hugging Face folder, in float32; for another configuration, where one is given.</summary>
    public static nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> Load(string name, string folder, DecoderSpec? spec = null)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        spec ??= DecoderConfig.Load(folder).Spec;
        using Checkpoint checkpoint = Checkpoint.OpenFolder(folder);
        nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> model = Create(name, spec);
        foreach ((string key, Tensor weight) in model.state_dict())
        {
            string stored = key == "lm_head.weight" && spec.TieWordEmbeddings ? "model.embed_tokens.weight" : key;
            weight.copy_(checkpoint.Tensors[stored]);
            weight.DetachFromDisposeScope();
        }

        (model as LlamaLookAlike)?.TieWordEmbeddings(spec);

        return model;
    }

    public static GrowingCache? Cache(nn.Module model) => model.modules().OfType<CacheHolder>().Single().Cache;
}
