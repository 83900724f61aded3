using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>What training asks of a model that predicts the next token.</summary>
internal interface ITrainedModel
{
    Device Device { get; }

    /// <summary>Every weight by its name, in ordinal order.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> NamedWeights { get; }

    /// <summary>The scores [positions, vocabulary] of what follows some tokens; the caller owns them.</summary>
    /// <param name="inputIds">Token ids [B, T] (int64), rows padded on the right.</param>
    /// <param name="positions">Which of the B · T tokens, counted row by row (int64).</param>
    Tensor Logits(Tensor inputIds, Tensor positions);

    /// <summary>Lets dropout act, or not.</summary>
    void train(bool on = true);
}
