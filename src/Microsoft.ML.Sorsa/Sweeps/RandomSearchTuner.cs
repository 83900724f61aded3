namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>Every trial drawn anew, whatever the others gave (Bergstra and Bengio, JMLR 2012).</summary>
public sealed class RandomSearchTuner : ITuner
{
    /// <inheritdoc/>
    public string Description => "random search";

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, object?>? Propose(SorsaSearchSpace space, int trialId, TrialHistory history, int seed)
    {
        ArgumentNullException.ThrowIfNull(space);
        return space.Parameters((name, option) => option.At(SeededDraw.Uniform(seed, FormattableString.Invariant($"{trialId}/{name}"))));
    }
}
