namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>
/// How much of the metric's variance over the completed trials a parameter alone explains: the correlation ratio η² = between groups / in all, over groups of trials with
/// the same choice, or with numbers in three groups of equal size. Groups explain something by chance too; Kelley's ε² = 1 − (1 − η²)(n − 1)/(n − k) for n trials in k
/// groups takes that off.
/// </summary>
/// <param name="Parameter">The option's name.</param>
/// <param name="Share">η², from 0 to 1.</param>
/// <param name="BeyondChance">ε², 0 where it would be negative.</param>
internal sealed record ParameterImportance(string Parameter, double Share, double BeyondChance)
{
    private const int NumberGroups = 3;

    /// <summary>The parameters of which the trials say something: more trials than groups, two groups at least, and metrics that differ. The most important first.</summary>
    public static IReadOnlyList<ParameterImportance> Of(SweepReport report) =>
    [
        .. report.Space.Select(option => Of(option.Key, option.Value, report.Completed)).OfType<ParameterImportance>()
            .OrderByDescending(importance => importance.BeyondChance).ThenByDescending(importance => importance.Share),
    ];

    private static ParameterImportance? Of(string name, ISearchOption option, IReadOnlyList<TrialResult> completed)
    {
        TrialResult[] trials = [.. completed.Where(trial => trial.TrialSettings.Parameters.ContainsKey(name))];
        double[][] groups =
        [
            .. (option.Choices is null
                ? InThree(trials, trial => option.PlaceOf(trial.TrialSettings.Parameters[name]))
                : trials.GroupBy(trial => ParameterText.Of(trial.TrialSettings.Parameters[name]), StringComparer.Ordinal))
                .Select(group => group.Select(trial => trial.Metric!.Value).ToArray()),
        ];
        if (groups.Length < 2 || trials.Length <= groups.Length || trials.All(trial => trial.Metric == trials[0].Metric))
        {
            return null;
        }

        double mean = trials.Average(trial => trial.Metric!.Value);
        double all = trials.Sum(trial => Squared(trial.Metric!.Value - mean));
        double within = groups.Sum(group => group.Sum(metric => Squared(metric - group.Average())));
        double share = Math.Clamp(1 - within / all, 0, 1);
        double beyondChance = 1 - (1 - share) * (trials.Length - 1) / (trials.Length - groups.Length);
        return new ParameterImportance(name, share, Math.Max(0, beyondChance));
    }

    /// <summary>Equal values come into one group, that of the first of them.</summary>
    private static IEnumerable<IEnumerable<TrialResult>> InThree(TrialResult[] trials, Func<TrialResult, double> place)
    {
        double[] sorted = [.. trials.Select(place).Order()];
        return trials.GroupBy(trial => Array.IndexOf(sorted, place(trial)) * NumberGroups / sorted.Length);
    }

    private static double Squared(double value) => value * value;
}
