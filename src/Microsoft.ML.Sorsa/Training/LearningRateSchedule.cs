namespace Microsoft.ML.Sorsa.Training;

/// <summary>How the learning rate goes on after the warm-up.</summary>
public enum LearningRateDecay
{
    /// <summary>Half a cosine from the peak to 0, as in the paper.</summary>
    Cosine,

    /// <summary>A straight line from the peak to 0.</summary>
    Linear,

    /// <summary>The peak, to the end.</summary>
    Constant,
}

/// <summary>
/// The learning rate's factor at each step, counted from 0: a straight line from 0 over the warm-up, so that the first step of a run
/// with one moves nothing, then the decay. As transformers' schedules.
/// </summary>
internal sealed class LearningRateSchedule(LearningRateDecay decay, int totalSteps, int warmupSteps)
{
    /// <summary>The warm-up of a share of the steps, rounded up.</summary>
    public static LearningRateSchedule Of(LearningRateDecay decay, int totalSteps, double warmupRatio) =>
        new(decay, totalSteps, (int)Math.Ceiling(totalSteps * warmupRatio));

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
