using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Data;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>The batches of a stored run, as the loop takes them.</summary>
internal static class GoldenBatches
{
    public static IEnumerable<IReadOnlyList<IReadOnlyList<SupervisedExample>>> Steps(Checkpoint golden, int accumulation)
    {
        Tensor ids = golden.Tensors["batches.input_ids"], labels = golden.Tensors["batches.labels"];
        var microBatches = new List<IReadOnlyList<SupervisedExample>>();
        for (long batch = 0; batch < ids.shape[0]; batch++)
        {
            microBatches.Add([.. Enumerable.Range(0, (int)ids.shape[1]).Select(row =>
            {
                long[] tokens = ids[batch, row].data<long>().ToArray(), marks = labels[batch, row].data<long>().ToArray();
                int prompt = marks.TakeWhile(mark => mark == -100).Count();
                if (!tokens.AsSpan(prompt).SequenceEqual(marks.AsSpan(prompt)))
                {
                    throw new InvalidDataException($"The labels of batch {batch} are not its tokens.");
                }

                return new SupervisedExample([.. tokens.Select(token => (int)token)], prompt);
            })]);
        }

        return microBatches.Chunk(accumulation);
    }
}
