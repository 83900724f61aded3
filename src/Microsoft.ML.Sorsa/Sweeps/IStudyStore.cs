namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>Where a study is kept. What a call has written stays, whatever happens to the process afterwards. Calls may come from several threads.</summary>
internal interface IStudyStore : IDisposable
{
    /// <summary>The study as messages name it.</summary>
    string Name { get; }

    /// <summary>Makes the study, or opens it, for this process alone until the store is disposed.</summary>
    /// <exception cref="InvalidOperationException">It was begun with another definition, or another process has it open.</exception>
    void Open(StudyDefinition definition);

    /// <summary>All trials so far, by their number; values by the options of the space.</summary>
    IReadOnlyDictionary<int, TrialResult> Read(SorsaSearchSpace space);

    /// <summary>A trial starts, for the first time or again: its curve is empty.</summary>
    void Start(TrialPlan plan);

    /// <summary>Adds a point to a running trial's curve.</summary>
    /// <param name="trialId">The trial.</param>
    /// <param name="look">From 1.</param>
    /// <param name="point">The point.</param>
    void Add(int trialId, int look, CurvePoint point);

    /// <summary>A trial's end, its curve with it; false where its end is known already, and nothing changes.</summary>
    bool Finish(TrialResult result);
}
