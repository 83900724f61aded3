namespace Microsoft.ML.Sorsa.Data;

/// <summary>
/// Which rows make up which step: every row once per epoch, in the order that was asked for. Shuffled, it is the seed's, rows of similar
/// length together so that little is padded. A step's rows are then cut into micro-batches, which changes nothing but the memory they take,
/// and, where rows learn their end beside longer ones alone, which do.
/// </summary>
internal sealed class BatchPlan
{
    /// <summary>Rows are sorted by length within pools of this many steps: enough to pad little, few enough to stay random.</summary>
    private const int PoolSteps = 16;

    /// <summary>The micro-batches of a bucket of <see cref="RowOrder.SortedBuckets"/>: PEFT's number.</summary>
    private const int BucketBatches = 20;

    private readonly IReadOnlyList<SupervisedExample> _examples;
    private readonly int _batchSize;
    private readonly int _stepSize;
    private readonly int _poolSize;
    private readonly int _bucketSize;
    private readonly int _seed;
    private readonly RowOrder _order;

    /// <param name="examples">The rows.</param>
    /// <param name="batchSize">Rows per micro-batch.</param>
    /// <param name="accumulation">Micro-batches per step.</param>
    /// <param name="seed">Decides the order where it is shuffled.</param>
    /// <param name="order">Of the rows.</param>
    public BatchPlan(
        IReadOnlyList<SupervisedExample> examples, int batchSize, int accumulation, int seed, RowOrder order = RowOrder.Shuffled)
    {
        _examples = examples;
        _batchSize = batchSize;
        _seed = seed;
        _order = order;

        // Never more than there is: numbers near the limit of int would overflow.
        _stepSize = (int)Math.Min((long)batchSize * accumulation, Math.Max(examples.Count, 1));
        _poolSize = (int)Math.Min((long)_stepSize * PoolSteps, Math.Max(examples.Count, 1));
        _bucketSize = (int)Math.Min((long)batchSize * BucketBatches, Math.Max(examples.Count, 1));
    }

    public int StepsPerEpoch => (int)(((long)_examples.Count + _stepSize - 1) / _stepSize);

    /// <summary>The steps of a whole run.</summary>
    /// <param name="epochs">Passes over the rows.</param>
    /// <param name="maxSteps">Ends it before; null: the epochs decide.</param>
    public int TotalSteps(int epochs, int? maxSteps) => (int)Math.Min((long)StepsPerEpoch * epochs, maxSteps ?? int.MaxValue);

    /// <summary>Of the steps of a run, the first so many; those behind them repeat them.</summary>
    /// <param name="totalSteps">The steps of the run.</param>
    public int DistinctSteps(int totalSteps) => _order == RowOrder.Shuffled ? totalSteps : Math.Min(totalSteps, StepsPerEpoch);

    /// <summary>The steps from one on, across epochs: where a training that was interrupted goes on.</summary>
    /// <param name="first">Counted from 0.</param>
    /// <param name="end">The first one that does not come any more.</param>
    public IEnumerable<IReadOnlyList<IReadOnlyList<SupervisedExample>>> Steps(int first, int end) =>
        Enumerable.Range(first / StepsPerEpoch, int.MaxValue - (first / StepsPerEpoch))
            .SelectMany(Epoch)
            .Skip(first % StepsPerEpoch)
            .Take(end - first);

    /// <summary>The steps of one epoch; the last, or the last in its pool, may hold fewer rows.</summary>
    public IEnumerable<IReadOnlyList<IReadOnlyList<SupervisedExample>>> Epoch(int epoch)
    {
        IEnumerable<SupervisedExample[]> steps = _order switch
        {
            RowOrder.AsGiven => _examples.Chunk(_stepSize),
            RowOrder.SortedBuckets => _examples.Chunk(_bucketSize)
                .SelectMany(bucket => bucket.OrderByDescending(example => example.Length)).Chunk(_stepSize),
            _ => Shuffled(epoch),
        };
        return steps.Select(step => (IReadOnlyList<IReadOnlyList<SupervisedExample>>)[.. Batches(step, _batchSize)]);
    }

    /// <summary>All rows by their length, in micro-batches: for measuring, not for training.</summary>
    public static IEnumerable<IReadOnlyList<SupervisedExample>> ByLength(IReadOnlyList<SupervisedExample> examples, int batchSize) =>
        Batches(examples.OrderBy(example => example.Length), batchSize);

    /// <summary>The rows as they go through the model together: the longest lose an end that is learnt beside longer rows alone.</summary>
    public static IReadOnlyList<SupervisedExample> Collate(IReadOnlyList<SupervisedExample> rows)
    {
        int longest = rows.Max(row => row.Length);
        return rows.All(row => row.Ids.Length <= longest) ? rows : [.. rows.Select(row => row.CutTo(longest))];
    }

    private static IEnumerable<IReadOnlyList<SupervisedExample>> Batches(IEnumerable<SupervisedExample> rows, int batchSize) =>
        rows.Chunk(batchSize).Select(Collate);

    private IEnumerable<SupervisedExample[]> Shuffled(int epoch)
    {
        // Without the mask a seed and its negative would be the same to Random.
        var random = new Random(unchecked((_seed * 486187739) + epoch) & int.MaxValue);
        SupervisedExample[] order = [.. _examples];
        random.Shuffle(order);
        foreach (SupervisedExample[] pool in order.Chunk(_poolSize))
        {
            SupervisedExample[][] steps = [.. pool.OrderBy(example => example.Length).Chunk(_stepSize)];
            random.Shuffle(steps);
            foreach (SupervisedExample[] step in steps)
            {
                yield return step;
            }
        }
    }
}
