using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>What training asks of a model that predicts the next token.</summary>
internal interface ITrainedModel
{
    Device Device { get; }

    /// <summary>Every weight by its name, in ordinal order.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> NamedWeights { get; }

    /// <summary>Keeps less between forward and backward, and computes it twice.</summary>
    /// <exception cref="NotSupportedException">The model's layers are not ours.</exception>
    bool GradientCheckpointing { get; set; }

    /// <summary>What <see cref="Head"/> makes the scores of what follows some tokens from; the caller owns it.</summary>
    /// <param name="inputIds">Token ids [B, T] (int64), rows padded on the right.</param>
    /// <param name="positions">Which of the B · T tokens, counted row by row (int64).</param>
    /// <returns>A row for every position.</returns>
    Tensor Hidden(Tensor inputIds, Tensor positions);

    /// <summary>Some rows of <see cref="Hidden"/> to scores [rows, vocabulary]; the caller owns them.</summary>
    Tensor Head(Tensor hidden);

    /// <summary>Lets dropout act, or not.</summary>
    void train(bool on = true);
}
