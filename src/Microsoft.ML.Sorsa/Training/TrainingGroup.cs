using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// One process among those that train a model together, as the loop sees it; alone, everything is there already and nothing is sent. Only
/// the sums differ from what one process does: whatever comes after them is computed everywhere, from the same bits to the same bits.
/// </summary>
/// <param name="ranks">All of them; null: this process is alone.</param>
internal sealed class TrainingGroup(ITrainingRanks? ranks)
{
    /// <summary>Values that are sent at a time, 64 MB: enough for the wires, and little beside a model.</summary>
    private const long BucketSize = 16_000_000;

    /// <summary>Those of which a training is under way in this process.</summary>
    private static readonly ConditionalWeakTable<ITrainingRanks, TrainingGroup> s_busy = [];

    public static TrainingGroup Alone { get; } = new(null);

    /// <summary>What they do where one of them fails.</summary>
    public RankAgreement Agreement { get; } = new(ranks);

    /// <summary>
    /// All that a training does, from its arguments and the opening of its model on: where it fails here, the others hear of it. Whatever
    /// trains with ranks goes through here.
    /// </summary>
    /// <param name="ranks">The option; null: this process is alone.</param>
    /// <param name="train">What is done.</param>
    /// <exception cref="InvalidOperationException">They are at it already: what they say to each other would be mixed up.</exception>
    public static T Run<T>(ITrainingRanks? ranks, Func<TrainingGroup, T> train)
    {
        var group = new TrainingGroup(ranks);
        if (group.IsAlone)
        {
            return train(group);
        }

        if (!s_busy.TryAdd(ranks!, group))
        {
            throw new InvalidOperationException("Ranks: these processes are training together already, and do one training at a time. "
                + "Begin the next behind its end, in the same order on every rank.");
        }

        try
        {
            return train(group);
        }
        catch (Exception failure)
        {
            group.Agreement.Fail(failure);
            throw;
        }
        finally
        {
            s_busy.Remove(ranks!);
        }
    }

    public int Count => ranks?.Count ?? 1;

    public int Rank => ranks?.Rank ?? 0;

    public bool IsAlone => Count == 1;

    /// <summary>Whether this one reports and writes.</summary>
    public bool IsFirst => Rank == 0;

    /// <summary>
    /// This process's share of a list. Neighbours, which are rows of similar length, go to different ones, so that all have the same to do.
    /// </summary>
    public IReadOnlyList<T> Share<T>(IReadOnlyList<T> items) => IsAlone ? items : [.. items.Where((_, at) => IsOurs(at))];

    /// <summary>Whether the item at a place of a list is in this process's share.</summary>
    public bool IsOurs(int at) => at % Count == Rank;

    /// <summary>Whether anybody says yes, for two questions at a time.</summary>
    public (bool First, bool Second) Any(bool first, bool second)
    {
        double[] said = [first ? 1 : 0, second ? 1 : 0];
        Sum(said);
        return (said[0] > 0, said[1] > 0);
    }

    /// <summary>Waits until everybody is here.</summary>
    public void Wait() => _ = Any(false, false);

    /// <summary>The sum over all processes of one number, float64.</summary>
    public Tensor Sum(Tensor value)
    {
        if (IsAlone)
        {
            return value;
        }

        Tensor sum = value.cpu().reshape(1).clone();
        ranks!.Sum(MemoryMarshal.Cast<byte, double>(sum.bytes));
        return sum.to(value.device).reshape([]);
    }

    /// <summary>Puts the sums over all processes in the place of numbers.</summary>
    public void Sum(Span<double> values)
    {
        if (!IsAlone)
        {
            ranks!.Sum(values);
        }
    }

    /// <summary>Puts the sums over all processes in the place of the gradients, in float32. One that had no rows adds nothing.</summary>
    /// <param name="trained">Those that take no gradient at this step have none.</param>
    public void SumGradients(IEnumerable<Parameter> trained)
    {
        if (IsAlone)
        {
            return;
        }

        using var noGrad = no_grad();
        foreach (IReadOnlyList<Parameter> bucket in Buckets(trained.Where(parameter => parameter.requires_grad)))
        {
            using var scope = NewDisposeScope();
            Tensor[] gradients = [.. bucket.Select(Gradient)];
            Tensor all = cat([.. gradients.Select(gradient => gradient.to(ScalarType.Float32).flatten())]).cpu();
            ranks!.Sum(MemoryMarshal.Cast<byte, float>(all.bytes));
            all = all.to(gradients[0].device);
            long start = 0;
            foreach (Tensor gradient in gradients)
            {
                gradient.copy_(all.narrow(0, start, gradient.numel()).view(gradient.shape));
                start += gradient.numel();
            }
        }

        static Tensor Gradient(Parameter parameter) => parameter.grad ?? (parameter.grad = zeros_like(parameter));
    }

    /// <summary>Puts rank 0's values in the place of everybody's.</summary>
    public void Send(IEnumerable<Tensor> tensors)
    {
        if (IsAlone)
        {
            return;
        }

        using var noGrad = no_grad();
        foreach (Tensor tensor in tensors)
        {
            using var scope = NewDisposeScope();
            Tensor values = tensor.detach().cpu().clone();
            ranks!.Broadcast(values.bytes);
            if (!IsFirst)
            {
                tensor.detach().copy_(values);
            }
        }
    }

    /// <summary>Brings everybody to where rank 0 stands, which may have gone on from a checkpoint that only it can read.</summary>
    /// <param name="state">Rank 0's, and elsewhere one that was just made.</param>
    public void Send(TrainingState state)
    {
        if (IsAlone)
        {
            return;
        }

        long[] counts = [state.Step, state.Evaluations.Count, state.Dropout?.Pass ?? 0];
        Broadcast(counts);
        double[] losses = [.. state.Losses], evaluations = [.. state.Evaluations.SelectMany(at => new[] { at.Step, at.Loss })];
        Array.Resize(ref losses, (int)counts[0]);
        Array.Resize(ref evaluations, 2 * (int)counts[1]);
        Broadcast(losses);
        Broadcast(evaluations);
        if (!IsFirst)
        {
            state.Step = (int)counts[0];
            state.Losses.AddRange(losses);
            state.Evaluations.AddRange(evaluations.Chunk(2).Select(at => ((int)at[0], at[1])));
            state.Optimizer.Prepare(state.Step);
            if (state.Dropout is { } dropout)
            {
                dropout.Pass = counts[2];
            }

            if (evaluations.Length > 0)
            {
                state.Best.Set(
                    state.Evaluations, [.. state.Trained.Select(named => named.Value.detach().clone().DetachFromDisposeScope())]);
            }
        }

        Send(state.Tensors.Select(named => named.Value));
    }

    private void Broadcast<T>(T[] values)
        where T : unmanaged => ranks!.Broadcast(MemoryMarshal.AsBytes(values.AsSpan()));

    private static IEnumerable<IReadOnlyList<Parameter>> Buckets(IEnumerable<Parameter> parameters)
    {
        var bucket = new List<Parameter>();
        long size = 0;
        foreach (Parameter parameter in parameters)
        {
            if (bucket.Count > 0 && size + parameter.numel() > BucketSize)
            {
                yield return bucket;
                (bucket, size) = ([], 0);
            }

            bucket.Add(parameter);
            size += parameter.numel();
        }

        if (bucket.Count > 0)
        {
            yield return bucket;
        }
    }
}
