namespace ReproducePaper;

/// <summary>
/// Each method's learning rate, by the loss on validation rows, meaned over seeds that are used for nothing else: a comparison at one rate
/// for all, or at each author's own, says more about rates than about methods (arXiv 2602.04998). Three rates at first; while the best is
/// the lowest or the highest of those tried, one more beyond it.
/// </summary>
internal static class RateSearch
{
    /// <summary>Rounds beyond the first, at most.</summary>
    private const int MostRounds = 4;

    /// <summary>The tried rates of each method, and the best.</summary>
    public static IReadOnlyList<TunedRate> Do(StudySettings settings, RunQueue queue)
    {
        StudyMethod[] methods = [.. settings.Methods.Select(key => StudyMethod.Find(key)!)];
        Dictionary<StudyMethod, List<double>> tried = methods.ToDictionary(method => method, method =>
        {
            double middle = RateGrid.Nearest(method.LearningRate * settings.RateScale);
            return new List<double> { RateGrid.Next(middle, -1), middle, RateGrid.Next(middle, 1) };
        });
        for (int round = 0; ; round++)
        {
            Run[] runs =
            [
                .. from method in methods
                   from rate in tried[method]
                   from seed in Enumerable.Range(1, settings.TuningSeeds)
                   select new Run { Kind = RunKind.Tuning, Method = method.Key, LearningRate = rate, Seed = -seed },
            ];
            ILookup<(string, double), RunResult> results = queue.Do($"learning rates, round {round + 1}", runs)
                .ToLookup(result => (result.Run.Method, result.Run.LearningRate));
            TunedRate[] tuned = [.. methods.Select(method => new TunedRate(method,
                [.. tried[method].Order().Select(rate => Tried(rate, results[(method.Key, rate)]))]))];
            TunedRate[] atEdge = [.. tuned.Where(rate => rate.EdgeOf != 0)];
            if (atEdge.Length == 0 || round == MostRounds)
            {
                return tuned;
            }

            foreach (TunedRate rate in atEdge)
            {
                tried[rate.Method].Add(RateGrid.Next(rate.Best ?? rate.Tried[0].Rate, rate.EdgeOf));
            }
        }
    }

    /// <summary>A rate at which one seed diverges is no rate.</summary>
    private static (double Rate, double Loss, string? Failure) Tried(double rate, IEnumerable<RunResult> runs) => (
        rate, runs.Average(run => run.ValidationLoss ?? double.PositiveInfinity),
        runs.Select(run => run.Divergence).FirstOrDefault(failure => failure is not null));
}

/// <summary>What the search found for a method.</summary>
/// <param name="Method">The method.</param>
/// <param name="Tried">In ascending order of the rates; where a run failed the loss is infinite, and the failure says why.</param>
internal sealed record TunedRate(StudyMethod Method, IReadOnlyList<(double Rate, double Loss, string? Failure)> Tried)
{
    /// <summary>Null where every rate failed.</summary>
    public double? Best => Tried.MinBy(tried => tried.Loss) is { Loss: < double.PositiveInfinity } best ? best.Rate : null;

    /// <summary>
    /// -1 where the best rate is the lowest that was tried, or all failed; 1 where it is the highest; otherwise 0. At the end of the search
    /// other than 0: the best may lie beyond.
    /// </summary>
    public int EdgeOf => Best is null || Best == Tried[0].Rate ? -1 : Best == Tried[^1].Rate ? 1 : 0;
}
