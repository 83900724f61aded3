using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Data;

/// <summary>
/// Rows of token ids [B, T], padded on the right. Labels are kept as the positions whose next token counts in the loss and those
/// tokens: what a label of −100 elsewhere (on prompt and padding) says, without computing logits there.
/// </summary>
internal sealed class Batch : IDisposable
{
    private Batch(Tensor inputIds, Tensor labelPositions, Tensor targets)
    {
        InputIds = inputIds;
        LabelPositions = labelPositions;
        Targets = targets;
    }

    /// <summary>int64 [B, T].</summary>
    public Tensor InputIds { get; }

    /// <summary>int64 [N]: indices into the flattened [B · T] positions, each before a labelled token.</summary>
    public Tensor LabelPositions { get; }

    /// <summary>int64 [N]: the labelled tokens.</summary>
    public Tensor Targets { get; }

    /// <summary>N, the tokens that the loss is averaged over.</summary>
    public long LabelCount => Targets.numel();

    /// <param name="examples">The rows.</param>
    /// <param name="padTokenId">What stands behind the shorter ones; no real token sees it.</param>
    /// <param name="device">Where the tensors are made.</param>
    public static Batch Of(IReadOnlyList<SupervisedExample> examples, int padTokenId, Device device)
    {
        int width = examples.Max(example => example.Ids.Length);
        var ids = new long[examples.Count * width];
        Array.Fill(ids, padTokenId);
        var labelPositions = new List<long>();
        var targets = new List<long>();
        for (int row = 0; row < examples.Count; row++)
        {
            int[] tokens = examples[row].Ids;
            for (int t = 0; t < tokens.Length; t++)
            {
                ids[(row * width) + t] = tokens[t];
                if (t >= Math.Max(examples[row].PromptLength, 1))
                {
                    labelPositions.Add((row * width) + t - 1);
                    targets.Add(tokens[t]);
                }
            }
        }

        return new Batch(
            Owned(tensor(ids, [examples.Count, width], device: device)), Owned(tensor(labelPositions, device: device)),
            Owned(tensor(targets, device: device)));

        static Tensor Owned(Tensor tensor) => tensor.DetachFromDisposeScope();
    }

    public void Dispose()
    {
        InputIds.Dispose();
        LabelPositions.Dispose();
        Targets.Dispose();
    }
}
