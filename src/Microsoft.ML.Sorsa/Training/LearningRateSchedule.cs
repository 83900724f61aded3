namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// The learning rate's factor at each step, counted from 0: a straight line from 0 over the warm-up, so that the first step of a run
/// with one moves nothing, then the decay. As transformers' schedules.
/// </summary>
internal sealed class LearningRateSchedule(LearningRateDecay decay, int totalSteps, int warmupSteps)
{
    /// <summary>
    /// The warm-up of a share of the steps, rounded up. A run of one step has none: transformers' would be all of it, and nothing would
    /// train.
    /// </summary>
    public static LearningRateSchedule Of(LearningRateDecay decay, int totalSteps, double warmupRatio) =>
        new(decay, totalSteps, totalSteps == 1 ? 0 : (int)Math.Ceiling(totalSteps * warmupRatio));

    public double Factor(int step)
    {
        if (step < warmupSteps)
        {
            return (double)step / warmupSteps;
        }

        double progress = (double)(step - warmupSteps) / Math.Max(1, totalSteps - warmupSteps);
        return decay switch
        {
            LearningRateDecay.Cosine => Math.Max(0, 0.5 * (1 + Math.Cos(Math.PI * progress))),
            LearningRateDecay.Linear => Math.Max(0, 1 - progress),
            _ => 1,
        };
    }
}
