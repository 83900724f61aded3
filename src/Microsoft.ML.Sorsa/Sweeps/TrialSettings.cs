namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>What a trial is.</summary>
/// <param name="TrialId">Its number in the study, from 1.</param>
/// <param name="Parameters">The values of the search space's options, in the order of the space. Options that the trial's method does not have are left out.</param>
public sealed record TrialSettings(int TrialId, IReadOnlyDictionary<string, object?> Parameters);
