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

    public override Tensor forward(Tensor inputIds) =>
        Weight.index_select(0, inputIds.flatten()).view(inputIds.shape[0], inputIds.shape[1], -1);
}
