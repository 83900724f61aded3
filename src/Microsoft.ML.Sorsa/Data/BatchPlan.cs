namespace Microsoft.ML.Sorsa.Data;

/// <summary>
/// Which rows make up which step: every row once per epoch, in an order that the seed decides, rows of similar length together so
/// that little is padded. A step's rows are then cut into micro-batches, which changes nothing but the memory they take.
/// </summary>
internal sealed class BatchPlan
{
    /// <summary>Rows are sorted by length within pools of this many steps: enough to pad little, few enough to stay random.</summary>
    private const int PoolSteps = 16;

    private readonly IReadOnlyList<SupervisedExample> _examples;
    private readonly int _batchSize;
    private readonly int _accumulation;
    private readonly int _seed;

    /// <param name="examples">The rows.</param>
    /// <param name="batchSize">Rows per micro-batch.</param>
    /// <param name="accumulation">Micro-batches per step.</param>
    /// <param name="seed">Decides the order.</param>
    public BatchPlan(IReadOnlyList<SupervisedExample> examples, int batchSize, int accumulation, int seed)
    {
        _examples = examples;
        _batchSize = batchSize;
        _accumulation = accumulation;
        _seed = seed;
    }

    private int StepSize => _batchSize * _accumulation;

    public int StepsPerEpoch => (_examples.Count + StepSize - 1) / StepSize;

    /// <summary>The steps of one epoch; the last in its pool may hold fewer rows.</summary>
    public IEnumerable<IReadOnlyList<IReadOnlyList<SupervisedExample>>> Epoch(int epoch)
    {
        // Without the mask a seed and its negative would be the same to Random.
        var random = new Random(unchecked((_seed * 486187739) + epoch) & int.MaxValue);
        SupervisedExample[] order = [.. _examples];
        random.Shuffle(order);
        foreach (SupervisedExample[] pool in order.Chunk(StepSize * PoolSteps))
        {
            SupervisedExample[][] steps = [.. pool.OrderBy(example => example.Ids.Length).Chunk(StepSize)];
            random.Shuffle(steps);
            foreach (SupervisedExample[] step in steps)
            {
                yield return [.. step.Chunk(_batchSize)];
            }
        }
    }

    /// <summary>All rows in their own order, in micro-batches: for measuring, not for training.</summary>
    public static IEnumerable<IReadOnlyList<SupervisedExample>> InOrder(IReadOnlyList<SupervisedExample> examples, int batchSize) =>
        examples.OrderBy(example => example.Ids.Length).Chunk(batchSize);
}
