using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>Token ids [B, T] (int64) to vectors [B, T, hidden]. TorchSharp's own layer copies its weight when it is given one.</summary>
internal sealed class TokenEmbedding : nn.Module<Tensor, Tensor>
{
    private const string WeightName = "weight";

    private const string Program = """
        def rows(weight: Tensor, ids: Tensor):
            return torch.embedding(weight, ids, -1, False, True)

        """;

    private static readonly TensorScript s_script = new(Program);

    private readonly bool _isHead;

    public TokenEmbedding(DecoderSpec spec, string path, WeightSource weights)
        : base(nameof(TokenEmbedding))
    {
        _isHead = spec.TieWordEmbeddings;
        Weight = weights.Get($"{path}.{WeightName}", spec.VocabularySize, spec.HiddenSize);
    }

    /// <summary>[vocabulary, hidden].</summary>
    [field: ComponentName(Name = WeightName)]
    public Parameter Weight { get; }

    public override Tensor forward(Tensor inputIds) => Rows(inputIds.flatten()).view(inputIds.shape[0], inputIds.shape[1], -1);

    /// <summary>
    /// The gradient sums the tokens of an id. On a GPU that of index_select adds them in whatever order they come, that of an index sorts
    /// them first; on a CPU it is the other way round. An embedding that is the head, too, has the head's gradient already, as large as
    /// the vocabulary: on a CPU the few rows of the tokens are added to it, and no other tensor of its size is filled. Alone they would
    /// be a sparse gradient, which no optimizer here takes: the head's backward comes first.
    /// </summary>
    private Tensor Rows(Tensor ids) => Weight.device_type switch
    {
        DeviceType.CPU when _isHead && Weight.requires_grad && is_grad_enabled() => s_script.Call("rows", Weight, ids),
        DeviceType.CPU => Weight.index_select(0, ids),
        _ => Weight.index(ids),
    };
}
