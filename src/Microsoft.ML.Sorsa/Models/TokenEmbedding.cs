using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>Token ids [B, T] (int64) to vectors [B, T, hidden]. TorchSharp's own layer copies its weight when it is given one.</summary>
internal sealed class TokenEmbedding : nn.Module<Tensor, Tensor>
{
    private const string WeightName = "weight";

    public TokenEmbedding(DecoderSpec spec, string path, WeightSource weights)
        : base(nameof(TokenEmbedding))
    {
        Weight = weights.Get($"{path}.{WeightName}", spec.VocabularySize, spec.HiddenSize);
    }

    /// <summary>[vocabulary, hidden].</summary>
    [field: ComponentName(Name = WeightName)]
    public Parameter Weight { get; }

    public override Tensor forward(Tensor inputIds) => Rows(inputIds.flatten()).view(inputIds.shape[0], inputIds.shape[1], -1);

    /// <summary>
    /// The gradient sums the tokens of an id. On a GPU that of index_select adds them in whatever order they come, that of an index sorts
    /// them first; on a CPU it is the other way round.
    /// </summary>
    private Tensor Rows(Tensor ids) => Weight.device_type == DeviceType.CPU ? Weight.index_select(0, ids) : Weight.index(ids);
}
