namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// Processes that train one model together, each on its share of every batch; <c>Options.Ranks</c> takes it. All of them run the same
/// program with the same options, data and model. Microsoft.ML.Sorsa.Mpi has one over MPI. Every process calls the same methods in the same
/// order, and each call returns when all of them have made it.
/// </summary>
public interface ITrainingRanks
{
    /// <summary>The number of this process, from 0 to <see cref="Count"/> − 1. The first, 0, reports and writes for all.</summary>
    int Rank { get; }

    /// <summary>How many there are; 1: there is nobody else, and nothing else is called.</summary>
    int Count { get; }

    /// <summary>
    /// Puts the sum over all ranks in the place of every value: added in the order of the ranks, and the same bits everywhere.
    /// </summary>
    /// <param name="values">As many on every rank.</param>
    void Sum(Span<float> values);

    /// <inheritdoc cref="Sum(Span{float})"/>
    void Sum(Span<double> values);

    /// <summary>Puts rank 0's bytes in the place of everybody's.</summary>
    /// <param name="values">As many on every rank.</param>
    void Broadcast(Span<byte> values);

    /// <summary>What every rank says, by rank. One that left without training says nothing: no bytes.</summary>
    /// <param name="message">What this one says; one byte at least.</param>
    IReadOnlyList<byte[]> Gather(ReadOnlySpan<byte> message);

    /// <summary>Ends the processes of all ranks, which may wait for this one: it cannot go on. Does not return.</summary>
    /// <param name="message">Why, for people.</param>
    void Abort(string message);
}
